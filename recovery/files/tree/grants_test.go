package tree

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/attributes"
)

// aCapability is cap_net_bind_service, as the kernel takes it.
const aCapability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// Of many a few are named, also by the attempt after the one that has written them, and one
// that is written again counts once.
func TestTree_grants(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	write := func(mode uint32, names ...string) recovery.Outcome {
		t.Helper()
		tree, err := Place{Dir: filepath.Dir(dir)}.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		for _, name := range names {
			if err := tree.Put(Record{Type: File, Path: name, Mode: mode, UID: os.Getuid(), GID: os.Getgid()}, strings.NewReader("")); err != nil {
				t.Fatal(err)
			}
		}
		var o recovery.Outcome
		if err := tree.grants.tell(&o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := write(0o755, "plain"); len(o.Exceptions) > 0 {
		t.Errorf("of a plain file it says %q", o.Exceptions)
	}
	if o := write(0o6644, "nothing that runs"); len(o.Exceptions) > 0 {
		t.Errorf("of what cannot be run it says %q", o.Exceptions)
	}
	write(0o4755, "a", "b")
	if o := write(0o4755, "b"); len(o.Exceptions) != 1 || !strings.HasPrefix(o.Exceptions[0], "2 restored files, set-user-ID") || !strings.Contains(o.Exceptions[0], `"a" (mode 4755, user `) {
		t.Errorf("it says %q", o.Exceptions)
	}
	if o := write(0o4711, "c", "d", "e"); len(o.Exceptions) != 1 || !strings.HasPrefix(o.Exceptions[0], "5 restored files") || !strings.Contains(o.Exceptions[0], ` and 2 more; `) || strings.Contains(o.Exceptions[0], `"d"`) {
		t.Errorf("it says %q", o.Exceptions)
	}
	if o := write(0o2755, "g"); len(o.Exceptions) != 2 || !strings.Contains(o.Exceptions[1], `set-group-ID`) || !strings.Contains(o.Exceptions[1], `"g" (mode 2755`) {
		t.Errorf("it says %q", o.Exceptions)
	}
}

// Capabilities are told of where they are set.
func TestTree_grantsCapabilities(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("capabilities of files can be set by root only")
	}
	tree, err := Place{Dir: t.TempDir()}.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	able := []attributes.Attribute{{Name: attributes.Capability, Value: []byte(aCapability)}}
	if err := tree.Put(Record{Type: File, Path: "able", Mode: 0o755, Attributes: able}, strings.NewReader("")); err != nil {
		t.Fatal(err)
	}
	var o recovery.Outcome
	if err := tree.grants.tell(&o); err != nil || len(o.Exceptions) != 1 || !strings.HasPrefix(o.Exceptions[0], "1 restored file, with capabilities") || !strings.Contains(o.Exceptions[0], `: "able"; `) {
		t.Errorf("it says %q, %v", o.Exceptions, err)
	}
}

// A tree that another program has written is looked through.
func TestGrantedIn(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]uint32{"d/shell": 0o4755, "d/group": 0o2755, "d/plain": 0o755, "d/able": 0o755} {
		at := filepath.Join(dir, name)
		for _, err := range []error{os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, nil, 0o600), syscall.Chmod(at, mode)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{`"d/shell" (mode 4755`, `"d/group" (mode 2755`}
	if os.Geteuid() == 0 {
		if err := unix.Setxattr(filepath.Join(dir, "d/able"), attributes.Capability, []byte(aCapability), 0); err != nil {
			t.Fatal(err)
		}
		want = append(want, `"d/able"`)
		err := unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
		if err == nil {
			want = append(want, `"null"`)
		} else if !errors.Is(err, unix.EPERM) { // as in a container
			t.Fatal(err)
		}
	}
	g, err := grantedIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	var o recovery.Outcome
	if err := g.tell(&o); err != nil || len(o.Exceptions) != len(want) {
		t.Fatalf("it says %q, %v; want %q", o.Exceptions, err, want)
	}
	for i, says := range want {
		if !strings.Contains(o.Exceptions[i], says) || strings.Contains(o.Exceptions[i], "plain") {
			t.Errorf("it says %q, want %q", o.Exceptions[i], says)
		}
	}
}
