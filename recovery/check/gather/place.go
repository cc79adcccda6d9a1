package gather

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"comeback/recovery/check"
	"comeback/recovery/mounts"
	"comeback/recovery/room"
	"comeback/runbooks"
	"comeback/storage"
)

// The file systems that lie elsewhere, by the kernel's numbers.
var farAway = map[int64]string{0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB", 0x65735546: "FUSE", 0x01021997: "9P", 0x00c36400: "Ceph"}

// placeOf says what kind of place a copy is, and what fails together with it. Of a
// bucket that is its owner's account where the service holds it to the one that the
// runbook names: AWS does, and refuses every other.
func placeOf(ctx context.Context, seen *check.Copy) {
	u, err := url.Parse(seen.URL)
	if err != nil {
		return
	}
	if u.Scheme == "s3" {
		seen.Medium, seen.Provider = "a bucket", "AWS"
		if e, err := url.Parse(seen.Endpoint); seen.Endpoint != "" && !(err == nil && ofAWS(e.Hostname())) {
			seen.Provider = seen.Endpoint
			if err == nil && e.Host != "" {
				seen.Provider, seen.Here = e.Host, onThisHost(ctx, e.Hostname())
			}
		} else if seen.Copy.Account != "" {
			seen.Domain = "AWS, account " + seen.Copy.Account
		}
		return
	}
	seen.Medium, seen.Here = "a directory", true
	d, err := diskOf(u.Path)
	if err != nil {
		return
	}
	if d.far != "" {
		seen.Here, seen.Domain = false, d.far+" at "+u.Path
		return
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this host"
	}
	seen.Disks, seen.Domain = d.names, d.String()+" of "+host
}

// disk is where on this host a place lies.
type disk struct {
	// device is the file system's number.
	device uint64
	// names are the disks below it; none where the kernel does not tell.
	names []string
	// far is the name of a file system that lies elsewhere.
	far string
}

func (d disk) String() string {
	switch len(d.names) {
	case 0:
		return fmt.Sprintf("disk %d:%d", d.device>>8&0xfff, d.device&0xff)
	case 1:
		return "disk " + d.names[0]
	}
	return "disks " + strings.Join(d.names, ", ")
}

// fails reports whether two places fail together, and whether that is known.
func (d disk) fails(with disk) (together, known bool) {
	if d.device == with.device || slices.ContainsFunc(d.names, func(name string) bool { return slices.Contains(with.names, name) }) {
		return true, true
	}
	return false, (d.far != "" || len(d.names) > 0) && (with.far != "" || len(with.names) > 0)
}

// diskOf looks where a place lies that must be there.
func diskOf(place string) (d disk, err error) {
	if _, d.device, err = room.On(place); err != nil {
		return d, err
	}
	var fs syscall.Statfs_t
	if syscall.Statfs(place, &fs) == nil {
		d.far = farAway[int64(uint32(fs.Type))]
	}
	if d.far == "" {
		d.names, _ = mounts.Disks(place) // what it does not tell is not known
	}
	return d, nil
}

// ofAWS reports whether a host is one of AWS.
func ofAWS(host string) bool {
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// onThisHost reports whether a name leads to an address of this host. One that leads
// nowhere is no evidence of that.
func onThisHost(ctx context.Context, host string) bool {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(addresses, func(a netip.Addr) bool {
		a = a.Unmap().WithZone("")
		return a.IsLoopback() || slices.ContainsFunc(own, func(o net.Addr) bool {
			p, err := netip.ParsePrefix(o.String())
			return err == nil && p.Addr().Unmap().WithZone("") == a
		})
	})
}

// besideLive finds the copies that lie on a disk that holds live data, and those of which that
// is not known. What does not answer is no disk of this host: a copy that could not be opened is
// not asked again.
func (o Options) besideLive(ctx context.Context, e *check.Evidence) {
	var clusters []string
	for _, s := range e.Servers {
		if s.Free >= 0 { // its directory is this host's
			clusters = append(clusters, s.DataDirectory)
		}
	}
	live := disks(ctx, livePlaces(o.Runbook, o.Expand, clusters), o.Within)
	for i := range e.Copies {
		cp := &e.Copies[i]
		u, err := url.Parse(cp.URL)
		if err != nil || u.Scheme != "file" || !cp.Here {
			continue
		}
		at := disks(ctx, []string{u.Path}, o.Within)[0]
		if at.Err != nil {
			continue
		}
		unsure := false
		for _, l := range live {
			if l.Err != nil {
				continue
			}
			together, known := at.Says.fails(l.Says)
			cp.Beside, unsure = cp.Beside || together, unsure || !known
		}
		cp.Unsure = unsure && !cp.Beside
	}
}

// HasCluster reports whether a directory that a server tells of is one of this host, with a
// cluster in it.
func HasCluster(dir string) bool {
	if dir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, "PG_VERSION"))
	return err == nil
}

// LiveDevices are the devices on which live data lie: clusters in these directories, and the
// trees that a runbook names; expand resolves what their settings refer to. Each of them may
// take so long to answer; on a file server that has gone none does.
func LiveDevices(ctx context.Context, rb *runbooks.Runbook, expand func(string) (string, error), clusters []string, within time.Duration) map[uint64]bool {
	live := map[uint64]bool{}
	for _, a := range disks(ctx, livePlaces(rb, expand, clusters), within) {
		if a.Err == nil {
			live[a.Says.device] = true
		}
	}
	return live
}

// livePlaces are the whole paths of what is live.
func livePlaces(rb *runbooks.Runbook, expand func(string) (string, error), clusters []string) []string {
	all := slices.Clone(clusters)
	for _, c := range rb.Components {
		all = append(all, placesOf(c.Settings, expand)...)
	}
	return slices.DeleteFunc(all, func(place string) bool { return !filepath.IsAbs(place) })
}

// placesOf are the directories and files of this host that a component's settings name.
func placesOf(settings map[string][]string, expand func(string) (string, error)) (all []string) {
	for _, key := range []string{"path", "paths", "data"} {
		for _, text := range settings[key] {
			if p, err := expand(text); err == nil && p != "" {
				all = append(all, p)
			}
		}
	}
	return all
}

// disks asks places that must be there where they lie, side by side: on a file server that has
// gone they answer nothing.
func disks(ctx context.Context, places []string, within time.Duration) []storage.Answer[string, disk] {
	return storage.Each(ctx, places, within, func(_ context.Context, place string) (disk, error) { return diskOf(place) })
}

// DirectoryOf is the directory of a copy that is one, and the device that it lies on. It may
// take so long to answer.
func DirectoryOf(ctx context.Context, place string, within time.Duration) (dir string, device uint64, ok bool) {
	u, err := url.Parse(place)
	if err != nil || u.Scheme != "file" {
		return "", 0, false
	}
	a := storage.Each(ctx, []string{u.Path}, within, func(_ context.Context, place string) (uint64, error) {
		_, device, err := room.Free(place)
		return device, err
	})[0]
	return u.Path, a.Says, a.Err == nil
}
