package files_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/files"
	"comeback/storage"
)

// setAttribute sets an attribute by its path; where the file system has no such the test fails.
func setAttribute(t testing.TB, path, name string, value []byte) {
	t.Helper()
	err := unix.Setxattr(path, name, value, 0)
	if errors.Is(err, unix.ENOTSUP) {
		t.Fatalf("the file system of %s has no %s: set TMPDIR to a directory of one that has", path, name)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// acl is an access control list as the kernel takes it: the owner may do everything, the
// user 33, too, all others may read.
func acl() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, may uint16
		id       uint32
	}{{1, 7, ^uint32(0)}, {2, 7, 33}, {4, 5, ^uint32(0)}, {16, 7, ^uint32(0)}, {32, 5, ^uint32(0)}} {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.may)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

// attributedTree is an odd tree with attributes of all sorts that are kept.
func attributedTree(t testing.TB) string {
	t.Helper()
	dir := oddTree(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	setAttribute(t, at("a"), "user.origin", []byte("https://example.org/a"))
	setAttribute(t, at("a"), "user.a=b%3D%25%", []byte("="))
	setAttribute(t, at("a"), "user.any bytes", []byte("\x00\n\xff"))
	setAttribute(t, at("not utf-8 \xff\xfe/caf\xe9.txt"), "user.empty", nil)
	setAttribute(t, at("sparse"), "user.large", bytes.Repeat([]byte("x"), 1000))
	setAttribute(t, at("2026/02"), "system.posix_acl_default", acl())
	setAttribute(t, at("2026/02"), "system.posix_acl_access", acl())
	setAttribute(t, at("2026/01/photo-1.jpg"), "system.posix_acl_access", acl())
	setAttribute(t, at("."), "user.tree", []byte("itself"))
	if os.Geteuid() == 0 {
		setAttribute(t, at("program"), "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	}
	return dir
}

// attributesOf tells the attributes of a tree, a line each.
func attributesOf(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		names := make([]byte, 4096)
		n, err := unix.Llistxattr(path, names)
		if err != nil {
			return err
		}
		listed := strings.Split(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00")
		slices.Sort(listed)
		for _, name := range listed {
			value := make([]byte, 4096)
			if name == "" {
				continue
			}
			n, err := unix.Lgetxattr(path, name, value)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%q %q %q\n", strings.TrimPrefix(path, dir), name, value[:n])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// attributesIn restores the newest backup, and tells the attributes of the tree, and its mode
// and all else.
func attributesIn(t *testing.T, store storage.Store) (attributes, tree string, o recovery.Outcome) {
	t.Helper()
	run := options(t, engine(), component, store)
	run.Probe = func(_ context.Context, env recovery.Env) error {
		dir, err := treeOf(env, component.Name)
		if err == nil {
			attributes = attributesOf(t, dir)
		}
		return err
	}
	end, tree := restore(t, run)
	passed(t, end)
	return attributes, tree, end.Steps[0].Outcome
}

// What a file system keeps with a name comes back with it, from a snapshot that builds on
// another one as well, and by hand.
func TestSnapshot_attributes(t *testing.T) {
	dir := attributedTree(t)
	store := directory(t, nil)
	want := attributesOf(t, dir)
	rights := 1 // the program is set-user-ID, and of root's has capabilities
	if os.Geteuid() == 0 {
		rights = 2
	}
	for n := range 2 {
		c := capture(t, dir, store, later(n+1))
		if len(c.LeftOut) > 0 || n > 0 && c.New > 0 {
			t.Errorf("%+v", c)
		}
		got, tree, o := attributesIn(t, store)
		if diff := cmp.Diff(want, got); diff != "" || len(o.Exceptions) != rights {
			t.Errorf("%q: %s", o.Exceptions, diff)
		}
		if diff := cmp.Diff(describe(t, dir), tree); diff != "" {
			t.Error(diff)
		}
	}
	// An attribute is a change of its own.
	setAttribute(t, filepath.Join(dir, "a"), "user.origin", []byte("another"))
	capture(t, dir, store, later(3))
	if got, _, _ := attributesIn(t, store); got != attributesOf(t, dir) || got == want {
		t.Error(cmp.Diff(attributesOf(t, dir), got))
	}
	t.Run("by hand", func(t *testing.T) {
		store := directory(t, nil)
		c := capture(t, dir, store, later(1))
		packs, err := filepath.Glob(filepath.Join(strings.TrimPrefix(store.URL(), "file://"), "uploads/packs/*.tar.zst"))
		if err != nil {
			t.Fatal(err)
		}
		tree := t.TempDir()
		for _, pack := range packs {
			cmd := exec.Command("sh", "-c", `zstd -dc "$1" | tar -C "$2" -xp --numeric-owner --xattrs --xattrs-include='*'`, "-", pack, tree)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", c.Key, err, out)
			}
		}
		if diff := cmp.Diff(attributesOf(t, dir), attributesOf(t, tree)); diff != "" {
			t.Error(diff)
		}
	})
}

// onShm is a directory of a file system that takes more attributes than a pack can hold.
func onShm(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "comeback-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Whoever owns one file can note on it what no pack holds, or more than the kernel lists: it
// is stored without that, which is told, and keeps no snapshot from being taken.
func TestSnapshot_attributesThatCannotBePacked(t *testing.T) {
	dir, store := onShm(t), directory(t, nil)
	for _, name := range []string{"a", "many", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		setAttribute(t, filepath.Join(dir, "a"), fmt.Sprintf("user.%02d", i), bytes.Repeat([]byte("x"), 64<<10))
	}
	for i := range 400 {
		setAttribute(t, filepath.Join(dir, "many"), fmt.Sprintf("user.%03d%s", i, strings.Repeat("n", 240)), nil)
	}
	setAttribute(t, filepath.Join(dir, "many"), "system.posix_acl_access", acl())
	c := capture(t, dir, store, later(1))
	want := []string{`2 names with attributes that are not kept: "user.13 (too large)" of "a"`}
	if !slices.Equal(c.LeftOut, want) || c.Files != 3 {
		t.Errorf("it holds %d files, and says %q, want %q", c.Files, c.LeftOut, want)
	}
	// The scratch may lie on a file system that takes fewer.
	if end, _ := restore(t, options(t, engine(), component, store)); end.Result != recovery.ResultPassed && end.Result != recovery.ResultExceptions {
		t.Errorf("its restore ended as %s", end.Result)
	}
}

// A snapshot without any is one that older programs read.
func TestSnapshot_formats(t *testing.T) {
	store := directory(t, nil)
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	format := func(c files.Captured) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(strings.TrimPrefix(store.URL(), "file://"), c.Key))
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		return first
	}
	if got := format(capture(t, dir, store, later(1))); got != "comeback-snapshot 1" {
		t.Errorf("without attributes it is %q", got)
	}
	setAttribute(t, file, "user.x", []byte("x"))
	if got := format(capture(t, dir, store, later(2))); got != "comeback-snapshot 2" {
		t.Errorf("with attributes it is %q", got)
	}
}

// Links have no attributes in a snapshot: those that they had are told.
func TestSnapshot_attributesOfLinks(t *testing.T) {
	dir, store := t.TempDir(), directory(t, nil)
	link := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	if err := unix.Lsetxattr(link, "trusted.x", []byte("x"), 0); err != nil {
		t.Fatalf("give a link an attribute, as root can on a file system that has them, such as that of TMPDIR: %v", err)
	}
	if c := capture(t, dir, store, later(1)); len(c.LeftOut) != 1 || !strings.Contains(c.LeftOut[0], `"trusted.x" of "link"`) {
		t.Errorf("it says %q", c.LeftOut)
	}
}

// Where the snapshot before is of a version to come, all is stored anew, and that is said.
func TestSnapshot_afterNewer(t *testing.T) {
	dir, store := manyFiles(t, 2, 100), directory(t, nil)
	first := capture(t, dir, store, later(1))
	key := filepath.Join(strings.TrimPrefix(store.URL(), "file://"), first.Key)
	if err := os.WriteFile(key, []byte("comeback-snapshot 99\nnew\nend\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := capture(t, dir, store, later(2))
	if c.New != first.New || len(c.LeftOut) != 1 || !strings.Contains(c.LeftOut[0], "all content is stored anew") {
		t.Errorf("%+v", c)
	}
}

// The attributes of an archive come back, too; lists as text, and what belongs to one host,
// are told.
func TestArchive_attributes(t *testing.T) {
	probe := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	setAttribute(t, probe, "user.x", nil)
	member := func(name string, typ byte, records ...string) member {
		m := member{Header: tar.Header{Name: name, Typeflag: typ, Mode: 0o755, Uid: os.Getuid(), Gid: os.Getgid(), Format: tar.FormatPAX, PAXRecords: map[string]string{}}}
		for i := 0; i < len(records); i += 2 {
			m.PAXRecords[records[i]] = records[i+1]
		}
		return m
	}
	link := member("uploads/e", tar.TypeSymlink, "SCHILY.xattr.user.l", "b")
	link.Linkname = "a"
	store := directory(t, map[string][]byte{"uploads/20261122T010000Z.tar": tarOf(t,
		member("uploads/", tar.TypeDir, "SCHILY.xattr.user.d", "\x00"), member("uploads/a", tar.TypeReg, "SCHILY.xattr.user.f", "b", "SCHILY.xattr.user.g%3D%2525", "c", "SCHILY.xattr.trusted.t", "c"),
		member("uploads/b", tar.TypeReg, "SCHILY.acl.access", "user::rwx"), member("uploads/c", tar.TypeReg, "LIBARCHIVE.xattr.user.h", "YQ"),
		member("uploads/d", tar.TypeReg, "LIBARCHIVE.xattr.user.i%3D", "Yg", "SCHILY.xattr.user.i%3D", "b"), link)})
	got, _, o := attributesIn(t, store)
	if want := "\"\" \"user.d\" \"\\x00\"\n\"/a\" \"user.f\" \"b\"\n\"/a\" \"user.g=%25\" \"c\"\n\"/d\" \"user.i=\" \"b\"\n"; got != want {
		t.Errorf("it has %s, want %s", got, want)
	}
	if says := strings.Join(o.Remarks, "; "); !strings.Contains(says, "of 4 files were not restored") {
		t.Errorf("it says %q", says)
	}
}

// Nothing of a restored tree has an access control list that the backup does not have, though
// all that is made where scratch lies inherits one.
func TestRestore_inheritsNoList(t *testing.T) {
	dir := oddTree(t)
	store := directory(t, map[string][]byte{"a.tar": archived(t, dir, ".")})
	scratch := t.TempDir()
	setAttribute(t, scratch, "system.posix_acl_default", acl())
	t.Setenv("TMPDIR", scratch)
	o := options(t, engine(), component, store)
	o.Probe = func(_ context.Context, env recovery.Env) error {
		tree, err := treeOf(env, "uploads")
		if err != nil {
			return err
		}
		run := filepath.Dir(filepath.Dir(tree))
		if got := attributesOf(t, run); strings.Contains(got, "acl") {
			t.Errorf("inherited:\n%s", got)
		}
		above, err := unix.Getxattr(filepath.Dir(run), "system.posix_acl_default", nil)
		if err != nil || above == 0 {
			t.Errorf("what scratch lies in has no list to inherit: %v", err)
		}
		return nil
	}
	end, restored := restore(t, o)
	passed(t, end)
	if diff := cmp.Diff(describe(t, dir), restored); diff != "" {
		t.Error(diff)
	}
}
