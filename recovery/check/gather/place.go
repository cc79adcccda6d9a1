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
	var fs syscall.Statfs_t
	if syscall.Statfs(u.Path, &fs) == nil {
		if name := farAway[int64(uint32(fs.Type))]; name != "" {
			seen.Here, seen.Domain = false, name+" at "+u.Path
			return
		}
	}
	if _, dev, err := room.Free(u.Path); err == nil {
		host, err := os.Hostname()
		if err != nil {
			host = "this host"
		}
		seen.Domain = fmt.Sprintf("disk %d:%d of %s", dev>>8&0xfff, dev&0xff, host)
	}
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

// besideLive finds the copies that lie on a disk that holds live data. What does not answer is
// no disk of this host: a copy that could not be opened is not asked again.
func (o Options) besideLive(ctx context.Context, e *check.Evidence) {
	var clusters []string
	for _, s := range e.Servers {
		if s.Free >= 0 { // its directory is this host's
			clusters = append(clusters, s.DataDirectory)
		}
	}
	live := LiveDevices(ctx, o.Runbook, o.Expand, clusters, o.Within)
	for i := range e.Copies {
		if !e.Copies[i].Here {
			continue
		}
		if _, device, ok := DirectoryOf(ctx, e.Copies[i].URL, o.Within); ok && live[device] {
			e.Copies[i].Beside = true
		}
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
	all := slices.Clone(clusters)
	for _, c := range rb.Components {
		all = append(all, placesOf(c.Settings, expand)...)
	}
	live := map[uint64]bool{}
	for _, a := range devices(ctx, all, within) {
		if a.Err == nil && filepath.IsAbs(a.Of) {
			live[a.Says] = true
		}
	}
	return live
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

// devices asks places that must be there for the devices that they lie on, side by side: on a
// file server that has gone they answer nothing.
func devices(ctx context.Context, places []string, within time.Duration) []storage.Answer[string, uint64] {
	return storage.Each(ctx, places, within, func(_ context.Context, place string) (uint64, error) {
		_, device, err := room.On(place)
		return device, err
	})
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
