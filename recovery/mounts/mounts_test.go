package mounts

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/mounts/mountstest"
)

// Lines are read with what stands between their fixed fields and without, and paths come
// without the kernel's escapes; what is no line of the table is passed over.
func TestParse(t *testing.T) {
	const table = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:5 /a\040b /srv/two\040words\134x rw shared:7 master:1 - tmpfs tmpfs rw
31 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw

32 22 0:27 /
x 22 0:27 / /mnt rw - tmpfs tmpfs rw
`
	want := []Mount{
		{22, "254:0", "/", "/", "ext4", "/dev/vda"},
		{30, "0:5", "/a b", `/srv/two words\x`, "tmpfs", "tmpfs"},
		{31, "0:26", "/", "/sys/fs/cgroup", "cgroup2", "cgroup"},
	}
	if got := parse(table); !slices.Equal(got, want) {
		t.Errorf("it reads %+v, want %+v", got, want)
	}
	long := "40 22 0:5 / /srv/" + strings.Repeat("x", 100<<10) + " rw - tmpfs tmpfs rw\n"
	if got := parse(long + table); len(got) != 4 {
		t.Errorf("of a table with a long line it reads %d", len(got))
	}
}

// A directory lies where the file system that holds it says, and what is nowhere is an error.
func TestThrough(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_MNT_ID, &st); err != nil || st.Mask&unix.STATX_MNT_ID == 0 {
		t.Fatalf("this kernel does not tell of mounts: %v", err)
	}
	m, seen, err := Through(dir)
	if err != nil || !seen || m.ID != st.Mnt_id {
		t.Fatalf("%s is seen through %+v, %v, %v", dir, m, seen, err)
	}
	if _, _, err := Through(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}

// What is mounted in part lies where that part does.
func TestMount_Inside(t *testing.T) {
	m := Mount{Root: "/data/shop", Point: "/srv"}
	for place, want := range map[string]string{"/srv": "/data/shop", "/srv/uploads": "/data/shop/uploads"} {
		if got, err := m.Inside(place); err != nil || got != want {
			t.Errorf("%s lies in %q, %v, want %q", place, got, err, want)
		}
	}
	if _, err := m.Inside("uploads"); err == nil {
		t.Error("a place without a whole path lies somewhere")
	}
}

func FuzzUnescape(f *testing.F) {
	f.Add(`/a\040b`)
	f.Add(`\`)
	f.Add(`\9999`)
	f.Fuzz(func(t *testing.T, text string) {
		if got := unescape(text); !strings.Contains(text, `\`) && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}

// A directory at which something is mounted, or below it, is refused by whatever way it is
// called; what is mounted beside it is none of it.
func TestNothingIn(t *testing.T) {
	if !mountstest.Alone(t) {
		return
	}
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	share := filepath.Join(dir, "a b", "share")
	mountstest.Share(t, share)
	for place, says := range map[string]string{
		dir: share + " is mounted below " + dir, filepath.Dir(share): share + " is mounted below " + filepath.Dir(share), share: "something is mounted at " + share,
		filepath.Join(link, "a b"): share + " is mounted below " + filepath.Dir(share),
		dir + "/a":                 "", share + "2": "", filepath.Join(share, "backup"): "", filepath.Join(dir, "none", "at all"): "", link: "",
	} {
		err := NothingIn(place)
		if _, mounted := errors.AsType[*Mounted](err); mounted != (says != "") || mounted && (err.Error() != says || recovery.HintOf(err) == "") || !mounted && err != nil {
			t.Errorf("%s: %v, want %q", place, err, says)
		}
	}
}
