// Package deploy_test checks kubernetes.yaml and the Dockerfile against each other and against the program. It starts
// neither a cluster nor a container: whether an image can be pulled, or a cluster admits the pods, is not known here.
package deploy_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
)

const (
	podIP       = "10.1.2.3"
	databaseURL = "postgres://user:password@db.example.com:5432/app"
)

// manifest is kubernetes.yaml: one document of each kind.
type manifest struct {
	configMap  *corev1.ConfigMap
	job        *batchv1.Job
	deployment *appsv1.Deployment
	service    *corev1.Service
	budget     *policyv1.PodDisruptionBudget
}

// setup decodes the manifest as strictly as a server that is asked to: an unknown or repeated field is an error.
func setup(t *testing.T) manifest {
	t.Helper()
	scheme := runtime.NewScheme()
	kinds := runtime.NewSchemeBuilder(corev1.AddToScheme, batchv1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme)
	if err := kinds.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	text, err := os.ReadFile("kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	var found []string
	for documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v in this document:\n%s", err, document)
		}
		found = append(found, kind.Kind)
		switch object := object.(type) {
		case *corev1.ConfigMap:
			m.configMap = object
		case *batchv1.Job:
			m.job = object
		case *appsv1.Deployment:
			m.deployment = object
		case *corev1.Service:
			m.service = object
		case *policyv1.PodDisruptionBudget:
			m.budget = object
		}
	}
	want := []string{"ConfigMap", "Job", "Deployment", "Service", "PodDisruptionBudget"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Fatalf("kinds of documents (-want +got):\n%s", diff)
	}
	return m
}

// pods are those that run the image.
func (m manifest) pods() map[string]corev1.PodSpec {
	return map[string]corev1.PodSpec{"migrate": m.job.Spec.Template.Spec, "run": m.deployment.Spec.Template.Spec}
}

// replica is the container of the Deployment.
func (m manifest) replica() corev1.Container { return m.deployment.Spec.Template.Spec.Containers[0] }

// config decodes the file that the container's --config names, with the container's environment.
func (m manifest) config(t *testing.T, pod corev1.PodSpec) *config.Config {
	t.Helper()
	container := pod.Containers[0]
	file := container.Args[slices.Index(container.Args, "--config")+1]
	mount := one(t, container.VolumeMounts, "mount for "+file, func(v corev1.VolumeMount) bool {
		return v.MountPath == path.Dir(file)
	})
	volume := one(t, pod.Volumes, "volume "+mount.Name, func(v corev1.Volume) bool { return v.Name == mount.Name })
	if volume.ConfigMap == nil || volume.ConfigMap.Name != m.configMap.Name {
		t.Fatalf("%s is not mounted from the ConfigMap %s", file, m.configMap.Name)
	}
	cfg, err := config.Parse(file, []byte(m.configMap.Data[path.Base(file)]), environment(container))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// one returns the only element that is so.
func one[T any](t *testing.T, all []T, what string, so func(T) bool) T {
	t.Helper()
	all = slices.DeleteFunc(slices.Clone(all), func(v T) bool { return !so(v) })
	if len(all) != 1 {
		t.Fatalf("%s: found %d, want 1", what, len(all))
	}
	return all[0]
}

// environment looks up what Kubernetes would set.
func environment(container corev1.Container) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, v := range container.Env {
			switch from := v.ValueFrom; {
			case v.Name != name || from == nil:
			case from.SecretKeyRef != nil &&
				from.SecretKeyRef.Name == "pgsolo" && from.SecretKeyRef.Key == "DATABASE_URL":
				return databaseURL, true
			case from.FieldRef != nil && from.FieldRef.FieldPath == "status.podIP":
				return podIP, true
			}
		}
		return "", false
	}
}

func TestPodsRunTheProgramOnTheConfiguration(t *testing.T) {
	m := setup(t)
	for command, pod := range m.pods() {
		container := pod.Containers[0]
		if diff := cmp.Diff([]string{command, "--config", "/etc/pgsolo/config.hcl"}, container.Args); diff != "" {
			t.Errorf("arguments (-want +got):\n%s", diff)
		}
		if container.Image != m.replica().Image {
			t.Errorf("%s runs the image %s, the replicas %s", command, container.Image, m.replica().Image)
		}
		if cfg := m.config(t, pod); cfg.Postgres.URL != databaseURL {
			t.Errorf("%s: the database's URL is not that of the Secret", command)
		}
	}
}

func TestPortsAgree(t *testing.T) {
	m := setup(t)
	cfg := m.config(t, m.deployment.Spec.Template.Spec)
	_, listen, err := net.SplitHostPort(cfg.HTTP.Listen)
	if err != nil {
		t.Fatal(err)
	}
	advertise, err := url.Parse(cfg.HTTP.Advertise)
	if err != nil {
		t.Fatal(err)
	}
	if advertise.Host != net.JoinHostPort(podIP, listen) {
		t.Errorf("http.advertise leads to %s, not to port %s of the pod", advertise.Host, listen)
	}
	port := m.replica().Ports[0]
	if strconv.Itoa(int(port.ContainerPort)) != listen {
		t.Errorf("the container's port is %d, http.listen is %s", port.ContainerPort, cfg.HTTP.Listen)
	}
	for what, got := range map[string]string{
		"liveness":  m.replica().LivenessProbe.HTTPGet.Port.StrVal,
		"readiness": m.replica().ReadinessProbe.HTTPGet.Port.StrVal,
		"service":   m.service.Spec.Ports[0].TargetPort.StrVal,
	} {
		if got != port.Name {
			t.Errorf("the port of %s is %q, not the container's %q", what, got, port.Name)
		}
	}
}

func TestThreeReplicasStayApartAndAvailable(t *testing.T) {
	m := setup(t)
	spec := m.deployment.Spec
	if *spec.Replicas != 3 || m.budget.Spec.MaxUnavailable.IntValue() != 1 {
		t.Errorf("%d replicas, of which %s may be disrupted; want 3 and 1",
			*spec.Replicas, m.budget.Spec.MaxUnavailable)
	}
	update := spec.Strategy.RollingUpdate
	if update.MaxUnavailable.IntValue() != 0 || update.MaxSurge.IntValue() != 1 {
		t.Errorf("update with maxUnavailable %s and maxSurge %s, want 0 and 1", update.MaxUnavailable, update.MaxSurge)
	}
	spread := spec.Template.Spec.TopologySpreadConstraints[0]
	if spread.TopologyKey != corev1.LabelHostname || spread.MaxSkew != 1 ||
		spread.WhenUnsatisfiable != corev1.DoNotSchedule {
		t.Errorf("replicas may share a node: %+v", spread)
	}
	replica, job := labels.Set(spec.Template.Labels), labels.Set(m.job.Spec.Template.Labels)
	for what, selector := range map[string]*metav1.LabelSelector{
		"deployment": spec.Selector, "spread": spread.LabelSelector, "budget": m.budget.Spec.Selector,
		"service": {MatchLabels: m.service.Spec.Selector},
	} {
		selects, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		if !selects.Matches(replica) || selects.Matches(job) {
			t.Errorf("the selector of %s, %s, does not select exactly the replicas", what, selects)
		}
	}
}
