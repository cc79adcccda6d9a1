package mounts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kernel is a /sys with the block devices of a host: the path of each below devices/, with its
// number.
func kernel(t *testing.T) string {
	t.Helper()
	sys := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name, to string) {
		path := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(sys, to), path); err != nil {
			t.Fatal(err)
		}
	}
	for device, number := range map[string]string{
		"pci/block/sda": "8:0", "pci/block/sda/sda1": "8:1", "pci/block/sda/sda2": "8:2", "pci/block/sda/sda3": "8:3", "pci/block/sdb": "8:16", "pci/block/sdb/sdb1": "8:17", "pci/block/sdc": "8:32",
		"virtual/block/dm-0": "253:0", "virtual/block/dm-1": "253:1", "virtual/block/md0": "9:0", "virtual/block/loop0": "7:0",
	} {
		dir, name := "devices/"+device, filepath.Base(device)
		write(dir+"/dev", number+"\n")
		if strings.HasPrefix(name, "sd") && len(name) == 4 {
			write(dir+"/partition", name[3:]+"\n")
		}
		link("dev/block/"+number, dir)
		link("class/block/"+name, dir)
	}
	for upper, lower := range map[string][]string{"dm-0": {"sda2"}, "dm-1": {"md0"}, "md0": {"sdb1", "sdc"}} {
		for _, name := range lower {
			link("devices/virtual/block/"+upper+"/slaves/"+name, "class/block/"+name)
		}
	}
	write("devices/virtual/block/loop0/loop/backing_file", "/srv/image\n")
	for _, name := range []string{"sda3", "sdc"} {
		link("fs/btrfs/8f3c/devices/"+name, "class/block/"+name)
	}
	return sys
}

// What lies on one disk is known by its name, whatever numbers the kernel gives it; of what is
// on none that it tells, nothing is claimed.
func TestMount_disks(t *testing.T) {
	sys := kernel(t)
	const table = `1 0 8:1 / /partition rw - ext4 /dev/sda1 rw
2 0 253:0 / /volume rw - xfs /dev/mapper/none-volume rw
3 0 253:1 / /raid rw - xfs /dev/mapper/none-raid rw
4 0 0:40 /@data /subvolume rw - btrfs /dev/sda3 rw
5 0 0:41 / /pool rw - zfs tank/shop/data rw
6 0 0:42 / /memory rw - tmpfs tmpfs rw
7 0 0:43 / /layers rw - overlay overlay rw
8 0 7:0 / /image rw - ext4 /dev/loop0 rw
9 0 8:16 / /disk rw - ext4 /dev/sdb rw
10 0 0:44 / /missing rw - btrfs /dev/sdx rw
`
	want := map[string][]string{
		"/partition": {"sda"}, "/volume": {"sda"}, "/raid": {"sdb", "sdc"}, "/subvolume": {"sda", "sdc"}, "/pool": {"ZFS pool tank"},
		"/memory": nil, "/layers": nil, "/image": nil, "/disk": {"sdb"}, "/missing": nil,
	}
	for _, m := range parse(table) {
		if got := m.disks(sys); !slices.Equal(got, want[m.Point]) {
			t.Errorf("%s lies on %q, want %q", m.Point, got, want[m.Point])
		}
	}
}

// A place is on the disk of the directory that it leads to; what is nowhere is an error.
func TestDisks(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	a, err := Disks(dir)
	b, errLink := Disks(link)
	if err != nil || errLink != nil || !slices.Equal(a, b) {
		t.Errorf("%q, %v and %q, %v", a, err, b, errLink)
	}
	if _, err := Disks(filepath.Join(dir, "missing")); err == nil {
		t.Error("what is not there lies on a disk")
	}
	t.Logf("%s lies on %q", dir, a)
}
