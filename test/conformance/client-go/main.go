// A client of the sandbox's API server made of client-go alone: discovery, typed and dynamic clients, informers,
// server-side apply and leader election, also across crashes of the server. It reads KUBECONFIG, prints a line for each
// stage, and asks for a crash by printing "crash"; whoever runs it kills and restarts the server and answers with a line.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"reflect"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	applyapps "k8s.io/client-go/applyconfigurations/apps/v1"
	applycore "k8s.io/client-go/applyconfigurations/core/v1"
	applymeta "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/util/retry"
)

const namespace = "client-go"

var input = bufio.NewReader(os.Stdin)

type session struct {
	ctx     context.Context
	config  *rest.Config
	client  kubernetes.Interface
	dynamic dynamic.Interface
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	must(err)
	config.QPS, config.Burst = 500, 1000
	// As controllers do it: built-in kinds travel as protobuf.
	typed := rest.CopyConfig(config)
	typed.ContentType = "application/vnd.kubernetes.protobuf"
	typed.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(typed)
	must(err)
	dyn, err := dynamic.NewForConfig(config)
	must(err)
	s := &session{ctx: ctx, config: config, client: client, dynamic: dyn}
	stages := []struct {
		name string
		run  func() error
	}{
		{"typed client", s.typedClient},
		{"discovery and REST mapping of a kind that comes", s.mapping},
		{"informers through a crash", s.informers},
		{"server-side apply", s.apply},
		{"leader election through a crash", s.election},
	}
	for _, stage := range stages {
		if err := stage.run(); err != nil {
			fmt.Printf("failed: %s: %v\n", stage.name, err)
			os.Exit(1)
		}
		fmt.Printf("ok: %s\n", stage.name)
	}
}

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func crash() error {
	fmt.Println("crash")
	_, err := input.ReadString('\n')
	return err
}

func (s *session) eventually(what string, holds func() (bool, error)) error {
	err := wait.PollUntilContextTimeout(s.ctx, 50*time.Millisecond, 30*time.Second, true,
		func(context.Context) (bool, error) { return holds() })
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (s *session) typedClient() error {
	core := s.client.CoreV1()
	if _, err := core.Namespaces().Create(s.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		metav1.CreateOptions{}); err != nil {
		return err
	}
	maps := core.ConfigMaps(namespace)
	made, err := maps.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "one"},
		Data: map[string]string{"a": "1"}, BinaryData: map[string][]byte{"b": {0, 255}}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(made.BinaryData["b"], []byte{0, 255}) {
		return fmt.Errorf("bytes came back as %v", made.BinaryData["b"])
	}
	if _, err = maps.Create(s.ctx, made.DeepCopy(), metav1.CreateOptions{}); err == nil {
		return fmt.Errorf("an object with a resourceVersion was created")
	}
	if _, err = maps.Get(s.ctx, "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return fmt.Errorf("a missing object was answered with %v", err)
	}
	stale := made.DeepCopy()
	made.Data["a"] = "2"
	if _, err = maps.Update(s.ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if _, err = maps.Update(s.ctx, stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		return fmt.Errorf("a stale update was answered with %v", err)
	}
	if err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live, err := maps.Get(s.ctx, "one", metav1.GetOptions{})
		if err != nil {
			return err
		}
		live.Data["a"] = "3"
		_, err = maps.Update(s.ctx, live, metav1.UpdateOptions{})
		return err
	}); err != nil {
		return err
	}
	bad := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "Bad"}, Spec: corev1.ServiceSpec{}}
	if _, err = core.Services(namespace).Create(s.ctx, bad, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		return fmt.Errorf("a bad service was answered with %v", err)
	}
	if causes := err.(apierrors.APIStatus).Status().Details.Causes; len(causes) < 2 {
		return fmt.Errorf("a bad service has the causes %v", causes)
	}
	for page, token := 0, ""; ; page++ {
		list, err := core.Namespaces().List(s.ctx, metav1.ListOptions{Limit: 2, Continue: token})
		if err != nil {
			return err
		}
		if token = list.Continue; token == "" {
			if page == 0 {
				return fmt.Errorf("five namespaces came on one page of two")
			}
			break
		}
	}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "scaled"}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "x"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}}}}}
	deployments := s.client.AppsV1().Deployments(namespace)
	if _, err = deployments.Create(s.ctx, deployment, metav1.CreateOptions{}); err != nil {
		return err
	}
	scale, err := deployments.GetScale(s.ctx, "scaled", metav1.GetOptions{})
	if err != nil {
		return err
	}
	scale.Spec.Replicas = 4
	if scale, err = deployments.UpdateScale(s.ctx, "scaled", scale, metav1.UpdateOptions{}); err != nil || scale.Spec.Replicas != 4 {
		return fmt.Errorf("scaling gave %v, %v", scale, err)
	}
	return maps.DeleteCollection(s.ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
}

var gems = schema.GroupVersionResource{Group: "client-go.example", Version: "v1", Resource: "gems"}
var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

func (s *session) mapping() error {
	discovery := memory.NewMemCacheClient(s.client.Discovery())
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(discovery)
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
	if err != nil || mapping.Resource.Resource != "deployments" {
		return fmt.Errorf("Deployment is mapped to %v, %v", mapping, err)
	}
	gem := schema.GroupKind{Group: gems.Group, Kind: "Gem"}
	if _, err = mapper.RESTMapping(gem); err == nil {
		return fmt.Errorf("a kind is mapped that nobody has defined")
	}
	object := map[string]any{"type": "object", "properties": map[string]any{
		"spec": map[string]any{"type": "object", "properties": map[string]any{
			"carats": map[string]any{"type": "integer", "minimum": int64(1), "default": int64(1)}}}}}
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "gems.client-go.example"},
		"spec": map[string]any{"group": gems.Group, "scope": "Namespaced",
			"names": map[string]any{"plural": "gems", "kind": "Gem"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": object}}}}}}
	if _, err = s.dynamic.Resource(definitions).Create(s.ctx, definition, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err = s.eventually("the new kind is mapped", func() (bool, error) {
		mapper.Reset()
		found, err := mapper.RESTMapping(gem)
		return err == nil && found.Resource == gems, nil
	}); err != nil {
		return err
	}
	made := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "client-go.example/v1", "kind": "Gem",
		"metadata": map[string]any{"name": "ruby"}, "spec": map[string]any{}}}
	answer, err := s.dynamic.Resource(gems).Namespace(namespace).Create(s.ctx, made, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if carats, _, _ := unstructured.NestedInt64(answer.Object, "spec", "carats"); carats != 1 {
		return fmt.Errorf("the default is %v", answer.Object["spec"])
	}
	patch := []byte(`{"spec":{"carats":0}}`)
	_, err = s.dynamic.Resource(gems).Namespace(namespace).Patch(s.ctx, "ruby", types.MergePatchType, patch, metav1.PatchOptions{})
	if !apierrors.IsInvalid(err) {
		return fmt.Errorf("a bad value was answered with %v", err)
	}
	return nil
}

func (s *session) informers() error {
	typed := informers.NewSharedInformerFactoryWithOptions(s.client, 0, informers.WithNamespace(namespace))
	maps := typed.Core().V1().ConfigMaps().Informer()
	var events atomic.Int64
	if _, err := maps.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { events.Add(1) },
		UpdateFunc: func(any, any) { events.Add(1) },
		DeleteFunc: func(any) { events.Add(1) },
	}); err != nil {
		return err
	}
	dyn := dynamicinformer.NewDynamicSharedInformerFactory(s.dynamic, 0)
	rubies := dyn.ForResource(gems).Informer()
	meta, err := metadata.NewForConfig(s.config)
	if err != nil {
		return err
	}
	bare := metadatainformer.NewSharedInformerFactory(meta, 0)
	names := bare.ForResource(corev1.SchemeGroupVersion.WithResource("configmaps")).Informer()
	typed.Start(s.ctx.Done())
	dyn.Start(s.ctx.Done())
	bare.Start(s.ctx.Done())
	if !cache.WaitForCacheSync(s.ctx.Done(), maps.HasSynced, rubies.HasSynced, names.HasSynced) {
		return fmt.Errorf("the informers did not sync")
	}
	client := s.client.CoreV1().ConfigMaps(namespace)
	make := func(from, to int) error {
		for at := from; at < to; at++ {
			object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("cm-%d", at)}, Data: map[string]string{"a": "b"}}
			if _, err := client.Create(s.ctx, object, metav1.CreateOptions{}); err != nil {
				return err
			}
		}
		return nil
	}
	isAlike := func() (bool, error) {
		list, err := client.List(s.ctx, metav1.ListOptions{})
		if err != nil {
			return false, nil
		}
		held := map[string]string{}
		for _, object := range maps.GetStore().List() {
			one := object.(*corev1.ConfigMap)
			held[one.Name] = one.ResourceVersion
		}
		for _, item := range list.Items {
			_, isNamed, _ := names.GetStore().GetByKey(namespace + "/" + item.Name)
			if held[item.Name] != item.ResourceVersion || !isNamed {
				return false, nil
			}
		}
		return len(held) == len(list.Items), nil
	}
	if err = make(0, 50); err != nil {
		return err
	}
	if err = s.eventually("the informers hold what a list says", isAlike); err != nil {
		return err
	}
	for round := 1; round <= 2; round++ {
		if err = crash(); err != nil {
			return err
		}
		if err = make(round*50, round*50+50); err != nil {
			return err
		}
		if err = client.Delete(s.ctx, fmt.Sprintf("cm-%d", round), metav1.DeleteOptions{}); err != nil {
			return err
		}
		if err = s.eventually("the informers hold what a list says after a crash", isAlike); err != nil {
			return err
		}
	}
	if events.Load() < 152 {
		return fmt.Errorf("the handlers heard %d events of 152", events.Load())
	}
	patch := []byte(`{"spec":{"carats":7}}`)
	if _, err = s.dynamic.Resource(gems).Namespace(namespace).Patch(s.ctx, "ruby", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return err
	}
	return s.eventually("the dynamic informer sees a change", func() (bool, error) {
		object, found, err := rubies.GetStore().GetByKey(namespace + "/ruby")
		if err != nil || !found {
			return false, err
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		carats, _, _ := unstructured.NestedInt64(content, "spec", "carats")
		return carats == 7, err
	})
}

func (s *session) apply() error {
	deployments := s.client.AppsV1().Deployments(namespace)
	wanted := func(image string) *applyapps.DeploymentApplyConfiguration {
		labels := map[string]string{"app": "applied"}
		return applyapps.Deployment("applied", namespace).WithSpec(applyapps.DeploymentSpec().
			WithSelector(applymeta.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(applycore.PodTemplateSpec().WithLabels(labels).WithSpec(applycore.PodSpec().WithContainers(
				applycore.Container().WithName("c").WithImage(image)))))
	}
	first, err := deployments.Apply(s.ctx, wanted("a:1"), metav1.ApplyOptions{FieldManager: "first"})
	if err != nil {
		return err
	}
	again, err := deployments.Apply(s.ctx, wanted("a:1"), metav1.ApplyOptions{FieldManager: "first"})
	if err != nil || again.ResourceVersion != first.ResourceVersion {
		return fmt.Errorf("applying the same again wrote %v after %v: %v", again.ResourceVersion, first.ResourceVersion, err)
	}
	if _, err = deployments.Apply(s.ctx, wanted("b:1"), metav1.ApplyOptions{FieldManager: "second"}); !apierrors.IsConflict(err) {
		return fmt.Errorf("another's field was answered with %v", err)
	}
	taken, err := deployments.Apply(s.ctx, wanted("b:1"), metav1.ApplyOptions{FieldManager: "second", Force: true})
	if err != nil || taken.Spec.Template.Spec.Containers[0].Image != "b:1" {
		return fmt.Errorf("force gave %v", err)
	}
	own, err := applyapps.ExtractDeployment(taken, "second")
	if err != nil || own.Spec == nil || *own.Spec.Template.Spec.Containers[0].Image != "b:1" {
		return fmt.Errorf("what the second owns cannot be read: %v", err)
	}
	// A value that both want belongs to both.
	if _, err = deployments.Apply(s.ctx, wanted("b:1"), metav1.ApplyOptions{FieldManager: "first"}); err != nil {
		return err
	}
	// Who applies less gives the rest back.
	less := applyapps.Deployment("applied", namespace).WithLabels(map[string]string{"only": "this"})
	if _, err = deployments.Apply(s.ctx, less, metav1.ApplyOptions{FieldManager: "second"}); err != nil {
		return err
	}
	live, err := deployments.Get(s.ctx, "applied", metav1.GetOptions{})
	if err != nil || live.Labels["only"] != "this" || live.Spec.Template.Spec.Containers[0].Image != "b:1" {
		return fmt.Errorf("after applying less: %v, %v", live, err)
	}
	return nil
}

func (s *session) election() error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	leading := make(chan string, 10)
	run := func(ctx context.Context, name string) {
		lock := &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Name: "leader", Namespace: namespace},
			Client: s.client.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: name}}
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{Lock: lock, ReleaseOnCancel: true,
			LeaseDuration: 6 * time.Second, RenewDeadline: 5 * time.Second, RetryPeriod: 300 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leading <- name },
				OnStoppedLeading: func() { leading <- name + " stopped" }}})
	}
	next := func(want string) error {
		select {
		case got := <-leading:
			if got != want {
				return fmt.Errorf("%s, and not %s", got, want)
			}
			return nil
		case <-time.After(30 * time.Second):
			return fmt.Errorf("nobody became %s", want)
		}
	}
	firstCtx, stopFirst := context.WithCancel(ctx)
	defer stopFirst()
	go run(firstCtx, "first")
	if err := next("first"); err != nil {
		return err
	}
	go run(ctx, "second")
	if err := crash(); err != nil {
		return err
	}
	select {
	case got := <-leading:
		return fmt.Errorf("after a short crash: %s", got)
	case <-time.After(2 * time.Second):
	}
	stopFirst()
	if err := next("first stopped"); err != nil {
		return err
	}
	return next("second")
}
