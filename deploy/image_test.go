package deploy_test

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// instruction is a line of the Dockerfile, with its continuations.
type instruction struct{ name, rest string }

func dockerfile(t *testing.T) []instruction {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var all []instruction
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		all = append(all, instruction{name, strings.TrimSpace(rest)})
	}
	return all
}

// only returns the rest of the one instruction of this name that contains text.
func only(t *testing.T, all []instruction, name, text string) string {
	t.Helper()
	return one(t, all, "lines "+name+" with "+strconv.Quote(text)+" in the Dockerfile", func(i instruction) bool {
		return i.name == name && strings.Contains(i.rest, text)
	}).rest
}

// output is the path at which the build stage leaves the program.
func output(t *testing.T, build string) string {
	t.Helper()
	fields := strings.Fields(build)
	at := slices.Index(fields, "-o")
	if at < 0 {
		t.Fatalf("no -o in: %s", build)
	}
	return fields[at+1]
}

func TestImageStartsTheProgramThatItBuilt(t *testing.T) {
	m, all := setup(t), dockerfile(t)
	installed := strings.Fields(only(t, all, "COPY", output(t, only(t, all, "RUN", "go build"))))
	for name, want := range map[string][]string{"ENTRYPOINT": installed[len(installed)-1:], "CMD": m.replica().Args} {
		var got []string
		if err := json.Unmarshal([]byte(only(t, all, name, "")), &got); err != nil {
			t.Fatalf("%s is not an array, so a shell would start it: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if port := strconv.Itoa(int(m.replica().Ports[0].ContainerPort)); only(t, all, "EXPOSE", "") != port {
		t.Errorf("EXPOSE does not name port %s", port)
	}
	if m.replica().Command != nil {
		t.Errorf("the Deployment replaces ENTRYPOINT with %q", m.replica().Command)
	}
	only(t, all, "COPY", "/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/")
}

func TestImageIsBuiltWithTheGoOfTheModule(t *testing.T) {
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(module), "\ngo ")
	version, _, _ := strings.Cut(rest, "\n")
	minor := strings.Join(strings.SplitN(version, ".", 3)[:2], ".")
	if from := only(t, dockerfile(t), "FROM", " AS build"); from != "golang:"+minor+" AS build" {
		t.Errorf("FROM %s, and go.mod wants Go %s", from, version)
	}
}

func TestPodsAreUnprivileged(t *testing.T) {
	user, group, found := strings.Cut(only(t, dockerfile(t), "USER", ""), ":")
	uid, err := strconv.ParseInt(user, 10, 64)
	if err != nil || !found || group != user || uid == 0 {
		t.Fatalf("USER %s:%s is not a number other than 0, for user and group alike", user, group)
	}
	yes, no := true, false
	for command, pod := range setup(t).pods() {
		want := &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &uid, RunAsGroup: &uid,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}
		if diff := cmp.Diff(want, pod.SecurityContext); diff != "" {
			t.Errorf("pod of %s (-want +got):\n%s", command, diff)
		}
		wantContainer := &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
		if diff := cmp.Diff(wantContainer, pod.Containers[0].SecurityContext); diff != "" {
			t.Errorf("container of %s (-want +got):\n%s", command, diff)
		}
		if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
			t.Errorf("pod of %s gets a token of the Kubernetes API", command)
		}
	}
}

// Runs the Dockerfile's own build command on what the Dockerfile copies, and the program that comes of it with the
// arguments of the pods.
func TestBuildCommandMakesAStaticProgram(t *testing.T) {
	all := dockerfile(t)
	build := only(t, all, "RUN", "go build")
	program := filepath.Join(t.TempDir(), "pgsolo")
	compile := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(build, output(t, build), program))
	compile.Dir = copySources(t, all)
	compile.Env = append(os.Environ(), "VERSION=v1.2.3-test")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	if runtime.GOOS == "linux" {
		file, err := elf.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Error("the program needs a dynamic linker, which the image does not have")
		}
	}
	if out := start(t, program, "version"); !strings.HasPrefix(out, "pgsolo v1.2.3-test ") {
		t.Errorf("the version was not set: %s", out)
	}
	m := setup(t)
	configuration := filepath.Join(t.TempDir(), "config.hcl")
	if err := os.WriteFile(configuration, []byte(m.configMap.Data["config.hcl"]), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, program, "validate", "--config", configuration)
	for command, pod := range m.pods() {
		out := start(t, program, append(pod.Containers[0].Args, "--help")...)
		if !strings.Contains(out, "pgsolo "+command+" [flags]") {
			t.Errorf("%q is not understood as the command %s:\n%s", pod.Containers[0].Args, command, out)
		}
	}
}

// copySources does what the COPY lines of the build stage do, and returns the folder.
func copySources(t *testing.T, all []instruction) string {
	t.Helper()
	folder := t.TempDir()
	for _, i := range all {
		if i.name != "COPY" || strings.HasPrefix(i.rest, "--from=") {
			continue
		}
		paths := strings.Fields(i.rest)
		to := filepath.Join(folder, paths[len(paths)-1])
		for _, from := range paths[:len(paths)-1] {
			if err := copyInto(to, filepath.Join("..", from)); err != nil {
				t.Fatalf("COPY %s: %v", i.rest, err)
			}
		}
	}
	return folder
}

// copyInto copies a file, or what a folder contains, into the folder to.
func copyInto(to, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, filepath.Base(from)), content, 0o600)
}

// start runs the program with nothing in its environment but the database's URL, and returns what it printed.
func start(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = []string{"DATABASE_URL=" + databaseURL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}
