/** Field numbers of the kinds that clients send as protobuf, and of their metadata, in the notation of `tables.ts`. */
export const kindTables = `
AggregationRule 1=clusterRoleSelectors:*LabelSelector
AttachedVolume 1=name 2=devicePath
Binding 1=metadata:ObjectMeta 2=target:ObjectReference
BoundObjectReference 1=kind 2=apiVersion 3=name 4=uid
ClientIPConfig 1=timeoutSeconds:int
ClusterRole 1=metadata:ObjectMeta 2=rules:*PolicyRule 3=aggregationRule:AggregationRule
ClusterRoleBinding 1=metadata:ObjectMeta 2=subjects:*Subject 3=roleRef:RoleRef
Condition 1=type 2=status 3=observedGeneration:int 4=lastTransitionTime:time 5=reason 6=message
ConfigMap 1=metadata:ObjectMeta 2=data:{} 3=binaryData:{}bytes 4=immutable:bool
ConfigMapNodeConfigSource 1=namespace 2=name 3=uid 4=resourceVersion 5=kubeletConfigKey
ContainerImage 1=names:* 2=sizeBytes:int
ContainerState 1=waiting:ContainerStateWaiting 2=running:ContainerStateRunning 3=terminated:ContainerStateTerminated
ContainerStateRunning 1=startedAt:time
ContainerStateTerminated 1=exitCode:int 2=signal:int 3=reason 4=message 5=startedAt:time 6=finishedAt:time
  7=containerID
ContainerStateWaiting 1=reason 2=message
ContainerStatus 1=name 2=state:ContainerState 3=lastState:ContainerState 4=ready:bool 5=restartCount:int 6=image
  7=imageID 8=containerID 9=started:bool 10=allocatedResources:{}quantity 11=resources:ResourceRequirements
  12=volumeMounts:*VolumeMountStatus 13=user:ContainerUser 14=allocatedResourcesStatus:*ResourceStatus 15=stopSignal
ContainerUser 1=linux:LinuxContainerUser
DaemonEndpoint 1=Port:int
DaemonSet 1=metadata:ObjectMeta 2=spec:DaemonSetSpec 3=status:DaemonSetStatus
DaemonSetCondition 1=type 2=status 3=lastTransitionTime:time 4=reason 5=message
DaemonSetSpec 1=selector:LabelSelector 2=template:PodTemplateSpec 3=updateStrategy:DaemonSetUpdateStrategy
  4=minReadySeconds:int 6=revisionHistoryLimit:int
DaemonSetStatus 1=currentNumberScheduled:int 2=numberMisscheduled:int 3=desiredNumberScheduled:int 4=numberReady:int
  5=observedGeneration:int 6=updatedNumberScheduled:int 7=numberAvailable:int 8=numberUnavailable:int
  9=collisionCount:int 10=conditions:*DaemonSetCondition
DaemonSetUpdateStrategy 1=type 2=rollingUpdate:RollingUpdateDaemonSet
DeleteOptions 1=gracePeriodSeconds:int 2=preconditions:Preconditions 3=orphanDependents:bool 4=propagationPolicy
  5=dryRun:*
Deployment 1=metadata:ObjectMeta 2=spec:DeploymentSpec 3=status:DeploymentStatus
DeploymentCondition 1=type 2=status 4=reason 5=message 6=lastUpdateTime:time 7=lastTransitionTime:time
DeploymentSpec 1=replicas:int 2=selector:LabelSelector 3=template:PodTemplateSpec 4=strategy:DeploymentStrategy
  5=minReadySeconds:int 6=revisionHistoryLimit:int 7=paused:bool 9=progressDeadlineSeconds:int
DeploymentStatus 1=observedGeneration:int 2=replicas:int 3=updatedReplicas:int 4=availableReplicas:int
  5=unavailableReplicas:int 6=conditions:*DeploymentCondition 7=readyReplicas:int 8=collisionCount:int
  9=terminatingReplicas:int
DeploymentStrategy 1=type 2=rollingUpdate:RollingUpdateDeployment
Endpoint 1=addresses:* 2=conditions:EndpointConditions 3=hostname 4=targetRef:ObjectReference
  5=deprecatedTopology:{} 6=nodeName 7=zone 8=hints:EndpointHints
EndpointConditions 1=ready:bool 2=serving:bool 3=terminating:bool
EndpointHints 1=forZones:*ForZone 2=forNodes:*ForNode
EndpointPort 1=name 2=protocol 3=port:int 4=appProtocol
EndpointSlice 1=metadata:ObjectMeta 2=endpoints:*Endpoint 3=ports:*EndpointPort 4=addressType
Event 1=metadata:ObjectMeta 2=involvedObject:ObjectReference 3=reason 4=message 5=source:EventSource
  6=firstTimestamp:time 7=lastTimestamp:time 8=count:int 9=type 10=eventTime:time 11=series:EventSeries 12=action
  13=related:ObjectReference 14=reportingComponent 15=reportingInstance
EventSeries 1=count:int 2=lastObservedTime:time
EventSource 1=component 2=host
Eviction 1=metadata:ObjectMeta 2=deleteOptions:DeleteOptions
ExtraValue 1=items:*
FieldSelectorAttributes 1=rawSelector 2=requirements:*FieldSelectorRequirement
FieldSelectorRequirement 1=key 2=operator 3=values:*
ForNode 1=name
ForZone 1=name
HostIP 1=ip
ImageVolumeStatus 1=imageRef
LabelSelector 1=matchLabels:{} 2=matchExpressions:*LabelSelectorRequirement
LabelSelectorAttributes 1=rawSelector 2=requirements:*LabelSelectorRequirement
LabelSelectorRequirement 1=key 2=operator 3=values:*
Lease 1=metadata:ObjectMeta 2=spec:LeaseSpec
LeaseSpec 1=holderIdentity 2=leaseDurationSeconds:int 3=acquireTime:time 4=renewTime:time 5=leaseTransitions:int
  6=strategy 7=preferredHolder
LinuxContainerUser 1=uid:int 2=gid:int 3=supplementalGroups:*int
LoadBalancerIngress 1=ip 2=hostname 3=ipMode 4=ports:*PortStatus
LoadBalancerStatus 1=ingress:*LoadBalancerIngress
LocalSubjectAccessReview 1=metadata:ObjectMeta 2=spec:SubjectAccessReviewSpec 3=status:SubjectAccessReviewStatus
ManagedFieldsEntry 1=manager 2=operation 3=apiVersion 4=time:time 6=fieldsType 7=fieldsV1:json 8=subresource
ModifyVolumeStatus 1=targetVolumeAttributesClassName 2=status
Namespace 1=metadata:ObjectMeta 2=spec:NamespaceSpec 3=status:NamespaceStatus
NamespaceCondition 1=type 2=status 4=lastTransitionTime:time 5=reason 6=message
NamespaceSpec 1=finalizers:*
NamespaceStatus 1=phase 2=conditions:*NamespaceCondition
Node 1=metadata:ObjectMeta 2=spec:NodeSpec 3=status:NodeStatus
NodeAddress 1=type 2=address
NodeCondition 1=type 2=status 3=lastHeartbeatTime:time 4=lastTransitionTime:time 5=reason 6=message
NodeConfigSource 2=configMap:ConfigMapNodeConfigSource
NodeConfigStatus 1=assigned:NodeConfigSource 2=active:NodeConfigSource 3=lastKnownGood:NodeConfigSource 4=error
NodeDaemonEndpoints 1=kubeletEndpoint:DaemonEndpoint
NodeFeatures 1=supplementalGroupsPolicy:bool
NodePodPreemptionPolicy 1=disableResizePreemption:*
NodeRuntimeHandler 1=name 2=features:NodeRuntimeHandlerFeatures
NodeRuntimeHandlerFeatures 1=recursiveReadOnlyMounts:bool 2=userNamespaces:bool
NodeSpec 1=podCIDR 2=externalID 3=providerID 4=unschedulable:bool 5=taints:*Taint 6=configSource:NodeConfigSource
  7=podCIDRs:* 8=podPreemptionPolicy:NodePodPreemptionPolicy
NodeStatus 1=capacity:{}quantity 2=allocatable:{}quantity 3=phase 4=conditions:*NodeCondition
  5=addresses:*NodeAddress 6=daemonEndpoints:NodeDaemonEndpoints 7=nodeInfo:NodeSystemInfo 8=images:*ContainerImage
  9=volumesInUse:* 10=volumesAttached:*AttachedVolume 11=config:NodeConfigStatus
  12=runtimeHandlers:*NodeRuntimeHandler 13=features:NodeFeatures 14=declaredFeatures:*
NodeSwapStatus 1=capacity:int
NodeSystemInfo 1=machineID 2=systemUUID 3=bootID 4=kernelVersion 5=osImage 6=containerRuntimeVersion
  7=kubeletVersion 8=kubeProxyVersion 9=operatingSystem 10=architecture 11=swap:NodeSwapStatus
NonResourceAttributes 1=path 2=verb
NonResourceRule 1=verbs:* 2=nonResourceURLs:*
ObjectMeta 1=name 2=generateName 3=namespace 5=uid 6=resourceVersion 7=generation:int 8=creationTimestamp:time
  9=deletionTimestamp:time 10=deletionGracePeriodSeconds:int 11=labels:{} 12=annotations:{}
  13=ownerReferences:*OwnerReference 14=finalizers:* 17=managedFields:*ManagedFieldsEntry
ObjectReference 1=kind 2=namespace 3=name 4=uid 5=apiVersion 6=resourceVersion 7=fieldPath
OwnerReference 1=kind 3=name 4=uid 5=apiVersion 6=controller:bool 7=blockOwnerDeletion:bool
PersistentVolumeClaim 1=metadata:ObjectMeta 2=spec:PersistentVolumeClaimSpec 3=status:PersistentVolumeClaimStatus
PersistentVolumeClaimCondition 1=type 2=status 3=lastProbeTime:time 4=lastTransitionTime:time 5=reason 6=message
PersistentVolumeClaimStatus 1=phase 2=accessModes:* 3=capacity:{}quantity
  4=conditions:*PersistentVolumeClaimCondition 5=allocatedResources:{}quantity 7=allocatedResourceStatuses:{}
  8=currentVolumeAttributesClassName 9=modifyVolumeStatus:ModifyVolumeStatus 10=healthStatus:VolumeHealthStatus
Pod 1=metadata:ObjectMeta 2=spec:PodSpec 3=status:PodStatus
PodCondition 1=type 2=status 3=lastProbeTime:time 4=lastTransitionTime:time 5=reason 6=message
  7=observedGeneration:int
PodDisruptionBudget 1=metadata:ObjectMeta 2=spec:PodDisruptionBudgetSpec 3=status:PodDisruptionBudgetStatus
PodDisruptionBudgetSpec 1=minAvailable:intOrString 2=selector:LabelSelector 3=maxUnavailable:intOrString
  4=unhealthyPodEvictionPolicy
PodDisruptionBudgetStatus 1=observedGeneration:int 2=disruptedPods:{}time 3=disruptionsAllowed:int
  4=currentHealthy:int 5=desiredHealthy:int 6=expectedPods:int 7=conditions:*Condition
PodIP 1=ip
PodStatus 1=phase 2=conditions:*PodCondition 3=message 4=reason 5=hostIP 6=podIP 7=startTime:time
  8=containerStatuses:*ContainerStatus 9=qosClass 10=initContainerStatuses:*ContainerStatus 11=nominatedNodeName
  12=podIPs:*PodIP 13=ephemeralContainerStatuses:*ContainerStatus 14=resize 16=hostIPs:*HostIP
  17=observedGeneration:int 19=allocatedResources:{}quantity 20=resources:ResourceRequirements
PodTemplateSpec 1=metadata:ObjectMeta 2=spec:PodSpec
PolicyRule 1=verbs:* 2=apiGroups:* 3=resources:* 4=resourceNames:* 5=nonResourceURLs:*
PortStatus 1=port:int 2=protocol 3=error
Preconditions 1=uid 2=resourceVersion
ReplicaSet 1=metadata:ObjectMeta 2=spec:ReplicaSetSpec 3=status:ReplicaSetStatus
ReplicaSetCondition 1=type 2=status 3=lastTransitionTime:time 4=reason 5=message
ReplicaSetSpec 1=replicas:int 2=selector:LabelSelector 3=template:PodTemplateSpec 4=minReadySeconds:int
ReplicaSetStatus 1=replicas:int 2=fullyLabeledReplicas:int 3=observedGeneration:int 4=readyReplicas:int
  5=availableReplicas:int 6=conditions:*ReplicaSetCondition 7=terminatingReplicas:int
ResourceAttributes 1=namespace 2=verb 3=group 4=version 5=resource 6=subresource 7=name
  8=fieldSelector:FieldSelectorAttributes 9=labelSelector:LabelSelectorAttributes
ResourceHealth 1=resourceID 2=health 6=message
ResourceRule 1=verbs:* 2=apiGroups:* 3=resources:* 4=resourceNames:*
ResourceStatus 1=name 2=resources:*ResourceHealth
Role 1=metadata:ObjectMeta 2=rules:*PolicyRule
RoleBinding 1=metadata:ObjectMeta 2=subjects:*Subject 3=roleRef:RoleRef
RoleRef 1=apiGroup 2=kind 3=name
RollingUpdateDaemonSet 1=maxUnavailable:intOrString 2=maxSurge:intOrString
RollingUpdateDeployment 1=maxUnavailable:intOrString 2=maxSurge:intOrString
RollingUpdateStatefulSetStrategy 1=partition:int 2=maxUnavailable:intOrString
Secret 1=metadata:ObjectMeta 2=data:{}bytes 3=type 4=stringData:{} 5=immutable:bool
SelfSubjectAccessReview 1=metadata:ObjectMeta 2=spec:SelfSubjectAccessReviewSpec 3=status:SubjectAccessReviewStatus
SelfSubjectAccessReviewSpec 1=resourceAttributes:ResourceAttributes 2=nonResourceAttributes:NonResourceAttributes
SelfSubjectReview 1=metadata:ObjectMeta 2=status:SelfSubjectReviewStatus
SelfSubjectReviewStatus 1=userInfo:UserInfo
SelfSubjectRulesReview 1=metadata:ObjectMeta 2=spec:SelfSubjectRulesReviewSpec 3=status:SubjectRulesReviewStatus
SelfSubjectRulesReviewSpec 1=namespace
Service 1=metadata:ObjectMeta 2=spec:ServiceSpec 3=status:ServiceStatus
ServiceAccount 1=metadata:ObjectMeta 2=secrets:*ObjectReference 3=imagePullSecrets:*LocalObjectReference
  4=automountServiceAccountToken:bool
ServicePort 1=name 2=protocol 3=port:int 4=targetPort:intOrString 5=nodePort:int 6=appProtocol
ServiceSpec 1=ports:*ServicePort 2=selector:{} 3=clusterIP 4=type 5=externalIPs:* 7=sessionAffinity 8=loadBalancerIP
  9=loadBalancerSourceRanges:* 10=externalName 11=externalTrafficPolicy 12=healthCheckNodePort:int
  13=publishNotReadyAddresses:bool 14=sessionAffinityConfig:SessionAffinityConfig 17=ipFamilyPolicy 18=clusterIPs:*
  19=ipFamilies:* 20=allocateLoadBalancerNodePorts:bool 21=loadBalancerClass 22=internalTrafficPolicy
  23=trafficDistribution
ServiceStatus 1=loadBalancer:LoadBalancerStatus 2=conditions:*Condition
SessionAffinityConfig 1=clientIP:ClientIPConfig
StatefulSet 1=metadata:ObjectMeta 2=spec:StatefulSetSpec 3=status:StatefulSetStatus
StatefulSetCondition 1=type 2=status 3=lastTransitionTime:time 4=reason 5=message
StatefulSetOrdinals 1=start:int
StatefulSetPersistentVolumeClaimRetentionPolicy 1=whenDeleted 2=whenScaled
StatefulSetSpec 1=replicas:int 2=selector:LabelSelector 3=template:PodTemplateSpec
  4=volumeClaimTemplates:*PersistentVolumeClaim 5=serviceName 6=podManagementPolicy
  7=updateStrategy:StatefulSetUpdateStrategy 8=revisionHistoryLimit:int 9=minReadySeconds:int
  10=persistentVolumeClaimRetentionPolicy:StatefulSetPersistentVolumeClaimRetentionPolicy
  11=ordinals:StatefulSetOrdinals
StatefulSetStatus 1=observedGeneration:int 2=replicas:int 3=readyReplicas:int 4=currentReplicas:int
  5=updatedReplicas:int 6=currentRevision 7=updateRevision 9=collisionCount:int 10=conditions:*StatefulSetCondition
  11=availableReplicas:int
StatefulSetUpdateStrategy 1=type 2=rollingUpdate:RollingUpdateStatefulSetStrategy
Subject 1=kind 2=apiGroup 3=name 4=namespace
SubjectAccessReview 1=metadata:ObjectMeta 2=spec:SubjectAccessReviewSpec 3=status:SubjectAccessReviewStatus
SubjectAccessReviewSpec 1=resourceAttributes:ResourceAttributes 2=nonResourceAttributes:NonResourceAttributes 3=user
  4=groups:* 5=extra:{}ExtraValue 6=uid
SubjectAccessReviewStatus 1=allowed:bool 2=reason 3=evaluationError 4=denied:bool
SubjectRulesReviewStatus 1=resourceRules:*ResourceRule 2=nonResourceRules:*NonResourceRule 3=incomplete:bool
  4=evaluationError
Taint 1=key 2=value 3=effect 4=timeAdded:time
TokenRequest 1=metadata:ObjectMeta 2=spec:TokenRequestSpec 3=status:TokenRequestStatus
TokenRequestSpec 1=audiences:* 3=boundObjectRef:BoundObjectReference 4=expirationSeconds:int
TokenRequestStatus 1=token 2=expirationTimestamp:time
TokenReview 1=metadata:ObjectMeta 2=spec:TokenReviewSpec 3=status:TokenReviewStatus
TokenReviewSpec 1=token 2=audiences:*
TokenReviewStatus 1=authenticated:bool 2=user:UserInfo 3=error 4=audiences:*
UserInfo 1=username 2=uid 3=groups:* 4=extra:{}ExtraValue
VolumeHealthCondition 1=status 2=reason 3=message
VolumeHealthStatus 1=healthConditions:*VolumeHealthCondition 2=lastTransitionTime:time
VolumeMountStatus 1=name 2=mountPath 3=readOnly:bool 4=recursiveReadOnly 5=volumeStatus:VolumeStatus
VolumeStatus 1=image:ImageVolumeStatus
`;
