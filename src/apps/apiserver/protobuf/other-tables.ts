/**
 * Field numbers of jobs, ingresses, network policies, endpoints, revisions, scales and admission, in the notation of
 * `tables.ts`. `CoreEndpointPort` is the core group's `EndpointPort`, whose numbers differ from those of discovery.
 */
export const otherTables = `
AuditAnnotation 1=key 2=valueExpression
ControllerRevision 1=metadata:ObjectMeta 2=data:json 3=revision:int
CronJob 1=metadata:ObjectMeta 2=spec:CronJobSpec 3=status:CronJobStatus
CronJobSpec 1=schedule 2=startingDeadlineSeconds:int 3=concurrencyPolicy 4=suspend:bool
  5=jobTemplate:JobTemplateSpec 6=successfulJobsHistoryLimit:int 7=failedJobsHistoryLimit:int 8=timeZone
CronJobStatus 1=active:*ObjectReference 4=lastScheduleTime:time 5=lastSuccessfulTime:time
CoreEndpointPort 1=name 2=port:int 3=protocol 4=appProtocol
EndpointAddress 1=ip 2=targetRef:ObjectReference 3=hostname 4=nodeName
EndpointSubset 1=addresses:*EndpointAddress 2=notReadyAddresses:*EndpointAddress 3=ports:*CoreEndpointPort
Endpoints 1=metadata:ObjectMeta 2=subsets:*EndpointSubset
ExpressionWarning 2=fieldRef 3=warning
HTTPIngressPath 1=path 2=backend:IngressBackend 3=pathType
HTTPIngressRuleValue 1=paths:*HTTPIngressPath
IPBlock 1=cidr 2=except:*
Ingress 1=metadata:ObjectMeta 2=spec:IngressSpec 3=status:IngressStatus
IngressBackend 3=resource:TypedLocalObjectReference 4=service:IngressServiceBackend
IngressClass 1=metadata:ObjectMeta 2=spec:IngressClassSpec
IngressClassParametersReference 1=apiGroup 2=kind 3=name 4=scope 5=namespace
IngressClassSpec 1=controller 2=parameters:IngressClassParametersReference
IngressLoadBalancerIngress 1=ip 2=hostname 4=ports:*IngressPortStatus
IngressLoadBalancerStatus 1=ingress:*IngressLoadBalancerIngress
IngressPortStatus 1=port:int 2=protocol 3=error
IngressRule 1=host 2=~:IngressRuleValue
IngressRuleValue 1=http:HTTPIngressRuleValue
IngressServiceBackend 1=name 2=port:ServiceBackendPort
IngressSpec 1=defaultBackend:IngressBackend 2=tls:*IngressTLS 3=rules:*IngressRule 4=ingressClassName
IngressStatus 1=loadBalancer:IngressLoadBalancerStatus
IngressTLS 1=hosts:* 2=secretName
Job 1=metadata:ObjectMeta 2=spec:JobSpec 3=status:JobStatus
JobCondition 1=type 2=status 3=lastProbeTime:time 4=lastTransitionTime:time 5=reason 6=message
JobSpec 1=parallelism:int 2=completions:int 3=activeDeadlineSeconds:int 4=selector:LabelSelector
  5=manualSelector:bool 6=template:PodTemplateSpec 7=backoffLimit:int 8=ttlSecondsAfterFinished:int 9=completionMode
  10=suspend:bool 11=podFailurePolicy:PodFailurePolicy 12=backoffLimitPerIndex:int 13=maxFailedIndexes:int
  14=podReplacementPolicy 15=managedBy 16=successPolicy:SuccessPolicy
JobStatus 1=conditions:*JobCondition 2=startTime:time 3=completionTime:time 4=active:int 5=succeeded:int
  6=failed:int 7=completedIndexes 8=uncountedTerminatedPods:UncountedTerminatedPods 9=ready:int 10=failedIndexes
  11=terminating:int
JobTemplateSpec 1=metadata:ObjectMeta 2=spec:JobSpec
MatchCondition 1=name 2=expression
MatchResources 1=namespaceSelector:LabelSelector 2=objectSelector:LabelSelector
  3=resourceRules:*NamedRuleWithOperations 4=excludeResourceRules:*NamedRuleWithOperations 7=matchPolicy
MutatingWebhook 1=name 2=clientConfig:WebhookClientConfig 3=rules:*RuleWithOperations 4=failurePolicy
  5=namespaceSelector:LabelSelector 6=sideEffects 7=timeoutSeconds:int 8=admissionReviewVersions:* 9=matchPolicy
  10=reinvocationPolicy 11=objectSelector:LabelSelector 12=matchConditions:*MatchCondition
MutatingWebhookConfiguration 1=metadata:ObjectMeta 2=webhooks:*MutatingWebhook
NamedRuleWithOperations 1=resourceNames:* 2=~:RuleWithOperations
NetworkPolicy 1=metadata:ObjectMeta 2=spec:NetworkPolicySpec
NetworkPolicyEgressRule 1=ports:*NetworkPolicyPort 2=to:*NetworkPolicyPeer
NetworkPolicyIngressRule 1=ports:*NetworkPolicyPort 2=from:*NetworkPolicyPeer
NetworkPolicyPeer 1=podSelector:LabelSelector 2=namespaceSelector:LabelSelector 3=ipBlock:IPBlock
NetworkPolicyPort 1=protocol 2=port:intOrString 3=endPort:int
NetworkPolicySpec 1=podSelector:LabelSelector 2=ingress:*NetworkPolicyIngressRule 3=egress:*NetworkPolicyEgressRule
  4=policyTypes:*
ParamKind 1=apiVersion 2=kind
ParamRef 1=name 2=namespace 3=selector:LabelSelector 4=parameterNotFoundAction
PodFailurePolicy 1=rules:*PodFailurePolicyRule
PodFailurePolicyOnExitCodesRequirement 1=containerName 2=operator 3=values:*int
PodFailurePolicyOnPodConditionsPattern 1=type 2=status
PodFailurePolicyRule 1=action 2=onExitCodes:PodFailurePolicyOnExitCodesRequirement
  3=onPodConditions:*PodFailurePolicyOnPodConditionsPattern
Rule 1=apiGroups:* 2=apiVersions:* 3=resources:* 4=scope
RuleWithOperations 1=operations:* 2=~:Rule
Scale 1=metadata:ObjectMeta 2=spec:ScaleSpec 3=status:ScaleStatus
ScaleSpec 1=replicas:int
ScaleStatus 1=replicas:int 2=selector
ServiceBackendPort 1=name 2=number:int
ServiceReference 1=namespace 2=name 3=path 4=port:int
SuccessPolicy 1=rules:*SuccessPolicyRule
SuccessPolicyRule 1=succeededIndexes 2=succeededCount:int
TypeChecking 1=expressionWarnings:*ExpressionWarning
UncountedTerminatedPods 1=succeeded:* 2=failed:*
ValidatingAdmissionPolicy 1=metadata:ObjectMeta 2=spec:ValidatingAdmissionPolicySpec
  3=status:ValidatingAdmissionPolicyStatus
ValidatingAdmissionPolicyBinding 1=metadata:ObjectMeta 2=spec:ValidatingAdmissionPolicyBindingSpec
ValidatingAdmissionPolicyBindingSpec 1=policyName 2=paramRef:ParamRef 3=matchResources:MatchResources
  4=validationActions:*
ValidatingAdmissionPolicySpec 1=paramKind:ParamKind 2=matchConstraints:MatchResources 3=validations:*Validation
  4=failurePolicy 5=auditAnnotations:*AuditAnnotation 6=matchConditions:*MatchCondition 7=variables:*Variable
ValidatingAdmissionPolicyStatus 1=observedGeneration:int 2=typeChecking:TypeChecking 3=conditions:*Condition
ValidatingWebhook 1=name 2=clientConfig:WebhookClientConfig 3=rules:*RuleWithOperations 4=failurePolicy
  5=namespaceSelector:LabelSelector 6=sideEffects 7=timeoutSeconds:int 8=admissionReviewVersions:* 9=matchPolicy
  10=objectSelector:LabelSelector 11=matchConditions:*MatchCondition
ValidatingWebhookConfiguration 1=metadata:ObjectMeta 2=webhooks:*ValidatingWebhook
Validation 1=expression 2=message 3=reason 4=messageExpression
Variable 1=name 2=expression
WebhookClientConfig 1=service:ServiceReference 2=caBundle:bytes 3=url
`;
