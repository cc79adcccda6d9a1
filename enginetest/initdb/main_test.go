package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery/postgres"
	"comeback/shop/shoptest"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "initdb" { // a copy of this program, in a directory of links
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The second cluster of a kind is a copy that PostgreSQL takes for whole, of another
// identity; what is no new cluster is refused in the real program's words.
func TestInitdb(t *testing.T) {
	dir := shoptest.Dir(t)
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	clusters, tools := filepath.Join(dir, "clusters"), filepath.Join(dir, "tools")
	for _, made := range []string{clusters, tools} {
		if err := os.Mkdir(made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := copyFile(self, filepath.Join(tools, "initdb"), 0o755); err != nil {
		t.Fatal(err)
	}
	if owner.UID >= 0 {
		if err := os.Chown(clusters, owner.UID, owner.GID); err != nil {
			t.Fatal(err)
		}
	}
	links := exec.Command("../../.ci/quick-initdb", filepath.Join(dir, "postgresql"))
	links.Env = append(os.Environ(), "COMEBACK_TOOLS="+tools)
	out, err := links.Output()
	if err != nil {
		t.Fatal(err)
	}
	programs := strings.TrimSpace(string(out))
	run := func(stdin, program string, args ...string) (string, error) {
		cmd := exec.Command(filepath.Join(programs, program), args...)
		cmd.Dir, cmd.Env, cmd.Stdin = "/", []string{"LC_ALL=C.UTF-8"}, strings.NewReader(stdin)
		if owner.UID >= 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(owner.UID), Gid: uint32(owner.GID)}}
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	identities := map[string]bool{}
	for i := range 3 {
		data := filepath.Join(clusters, fmt.Sprint(i))
		said, err := run("", "initdb", "-D", data, "-A", "trust", "--no-sync", "--data-checksums")
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if real := strings.Contains(said, "creating configuration files"); real != (i == 0) {
			t.Errorf("cluster %d was made by the real program: %t", i, real)
		}
		said, err = run("select system_identifier from pg_control_system();\n", "postgres", "--single", "-D", data, "postgres")
		_, identity, is := strings.Cut(said, `system_identifier = "`)
		if err != nil || !is {
			t.Fatalf("%v: %s", err, said)
		}
		identity, _, _ = strings.Cut(identity, `"`)
		identities[identity] = true
	}
	if len(identities) != 3 {
		t.Errorf("three clusters have the identities %v", identities)
	}
	if said, err := run("", "initdb", "-D", filepath.Join(clusters, "0"), "-A", "trust", "--no-sync", "--data-checksums"); err == nil || !strings.Contains(said, "exists but is not empty") {
		t.Errorf("into a directory that holds a cluster: %v, %s", err, said)
	}
}
