package files_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// describe tells everything of a tree that a restore must bring back, a line a
// name: type, mode, owner, time, size or target, digest.
func describe(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		name, _ := filepath.Rel(dir, path)
		fmt.Fprintf(&b, "%q %s %d:%d", name, info.Mode(), st.Uid, st.Gid)
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %s -> %q", info.ModTime().UTC().Format(time.RFC3339), to)
		case info.IsDir():
			fmt.Fprintf(&b, " %s", info.ModTime().UTC().Format(time.RFC3339))
		default:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %s %d %x", info.ModTime().UTC().Format(time.RFC3339), len(content), sha256.Sum256(content))
			if st.Nlink > 1 {
				if first[st.Ino] == "" {
					first[st.Ino] = name
				}
				fmt.Fprintf(&b, " is %q", first[st.Ino])
			}
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// oddTree makes a tree with everything that a tree may hold, and gives it.
func oddTree(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "uploads")
	old := time.Date(2019, 3, 4, 5, 6, 7, 0, time.UTC)
	random := rand.NewChaCha8([32]byte{7})
	content := func(n int) []byte {
		b := make([]byte, n)
		_, _ = random.Read(b) // never fails
		return b
	}
	write := func(name string, mode fs.FileMode, b []byte) {
		path := filepath.Join(dir, name)
		for _, err := range []error{os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o600), os.Chmod(path, mode), os.Chtimes(path, old, old.Add(time.Duration(len(b))*time.Second))} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	write("2026/01/photo-1.jpg", 0o644, content(3000))
	write("2026/01/photo-2.jpg", 0o600, content(70_000))
	write("2026/02/empty", 0o640, nil)
	write("with space/and\nnewline/and \"quotes\"", 0o644, content(10))
	write("not utf-8 \xff\xfe/caf\xe9.txt", 0o644, content(11))
	write("-rf", 0o644, content(12))
	write(strings.Repeat("long", 60)+"/"+strings.Repeat("name", 60), 0o644, content(13))
	write("program", 0o4755|fs.ModeSetuid, content(14))
	write("readonly/file", 0o444, content(15))
	write("a", 0o644, content(16))
	write("a.b/c", 0o644, content(17))
	sparse := filepath.Join(dir, "sparse")
	f, err := os.Create(sparse)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 4 << 20, 9<<20 - 5} {
		if _, err := f.WriteAt(content(5), at); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		f.Close(),
		os.WriteFile(filepath.Join(dir, "zeros"), make([]byte, 1<<20), 0o644),
		os.Mkdir(filepath.Join(dir, "empty directory"), 0o750),
		os.Link(filepath.Join(dir, "2026/01/photo-2.jpg"), filepath.Join(dir, "2026/again.jpg")),
		os.Symlink("photo-1.jpg", filepath.Join(dir, "2026/01/latest")),
		os.Symlink("/etc/passwd", filepath.Join(dir, "absolute")),
		os.Symlink("../../elsewhere", filepath.Join(dir, "2026/out")),
		os.Symlink("nowhere", filepath.Join(dir, "dangling")),
		os.Chmod(filepath.Join(dir, "readonly"), 0o555),
		os.Chmod(dir, 0o751),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		for name, uid := range map[string]int{"2026/01/photo-1.jpg": 33, "2026": 1000, "absolute": 1001, "program": 1234} {
			if err := os.Lchown(filepath.Join(dir, name), uid, uid+1); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(dir, "program"), 0o755|fs.ModeSetuid); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"2026/01/latest", "absolute", "2026/out", "dangling"} {
		at := []unix.Timespec{{Sec: old.Unix()}, {Sec: old.Unix()}}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, name), at, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"2026/01", "2026", "readonly", "empty directory", "."} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// archived is what tar writes of a directory, from inside of another one.
func archived(t testing.TB, in string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("tar", append([]string{"-C", in, "-c", "-f", "-"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tar: %v: %s", err, stderr.String())
	}
	return out
}

// packed is content after a program that packs it.
func packed(t testing.TB, content []byte, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin = bytes.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return out
}

// plainTree is an odd tree without a file that gives rights: nothing of it is an exception.
func plainTree(t testing.TB) string {
	t.Helper()
	dir := oddTree(t)
	if err := os.Chmod(filepath.Join(dir, "program"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// member is one entry of an archive made by hand.
type member struct {
	tar.Header
	body string
}

// tarOf writes an archive by hand.
func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		m.Size = int64(len(m.body))
		if m.Mode == 0 {
			m.Mode = 0o644
		}
		if m.Typeflag == 0 {
			m.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&m.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// onDisk is how many bytes a file takes.
func onDisk(t testing.TB, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}
