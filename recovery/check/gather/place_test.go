package gather

import (
	"net"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/check"
)

// What fails together with a bucket is told by what the service holds it to, and never by
// whose credentials ask; a name that leads here is this host, however it is written.
func TestPlaceOf(t *testing.T) {
	own := "127.0.0.2"
	if all, err := net.InterfaceAddrs(); err == nil {
		for _, a := range all {
			if ip, _, err := net.ParseCIDR(a.String()); err == nil && ip.To4() != nil && !ip.IsLoopback() {
				own = ip.String()
			}
		}
	}
	for name, test := range map[string]struct {
		copy             recovery.Copy
		caller           string
		provider, domain string
		here             bool
	}{
		"AWS":                      {recovery.Copy{URL: "s3://b/x"}, "", "AWS", "", false},
		"AWS by its endpoint":      {recovery.Copy{URL: "s3://b/x", Endpoint: "https://s3.eu-central-1.amazonaws.com", Account: "2"}, "1", "AWS", "AWS, account 2", false},
		"the caller's account":     {recovery.Copy{URL: "s3://b/x", Profile: "p"}, "1", "AWS", "", false},
		"the owner's account":      {recovery.Copy{URL: "s3://b/x", Account: "2"}, "1", "AWS", "AWS, account 2", false},
		"a service by a loopback":  {recovery.Copy{URL: "s3://b/x", Endpoint: "http://127.0.0.2:9000", Account: "2"}, "", "127.0.0.2:9000", "", true},
		"a service by our address": {recovery.Copy{URL: "s3://b/x", Endpoint: "http://" + own + ":9000"}, "", own + ":9000", "", true},
		"a service of nowhere":     {recovery.Copy{URL: "s3://b/x", Endpoint: "https://s3.example.invalid"}, "", "s3.example.invalid", "", false},
		"a service far away":       {recovery.Copy{URL: "s3://b/x", Endpoint: "https://192.0.2.1"}, "", "192.0.2.1", "", false},
	} {
		seen := check.Copy{Copy: test.copy, Account: test.caller}
		placeOf(t.Context(), &seen)
		if seen.Medium != "a bucket" || seen.Provider != test.provider || seen.Domain != test.domain || seen.Here != test.here {
			t.Errorf("%s: %s at %q, domain %q, here %v", name, seen.Medium, seen.Provider, seen.Domain, seen.Here)
		}
	}
	seen := check.Copy{Copy: recovery.Copy{URL: "file://" + t.TempDir()}}
	if placeOf(t.Context(), &seen); seen.Medium != "a directory" || !seen.Here && !strings.Contains(seen.Domain, " at ") {
		t.Errorf("a directory: %+v", seen)
	}
}

// Two places fail together where a disk holds both, whatever numbers their file systems have;
// where the kernel does not tell of one, that is not known.
func TestDisk_fails(t *testing.T) {
	for name, test := range map[string]struct {
		a, b            disk
		together, known bool
	}{
		"two partitions":           {disk{device: 1, names: []string{"sda"}}, disk{device: 2, names: []string{"sda"}}, true, true},
		"a volume of several":      {disk{device: 1, names: []string{"sda", "sdb"}}, disk{device: 2, names: []string{"sdb"}}, true, true},
		"two disks":                {disk{device: 1, names: []string{"sda"}}, disk{device: 2, names: []string{"sdb"}}, false, true},
		"one file system":          {disk{device: 1}, disk{device: 1}, true, true},
		"one is not told":          {disk{device: 1}, disk{device: 2, names: []string{"sda"}}, false, false},
		"one is on a file server":  {disk{device: 1, far: "NFS"}, disk{device: 2, names: []string{"sda"}}, false, true},
		"not told and file server": {disk{device: 1, far: "NFS"}, disk{device: 2}, false, false},
	} {
		for _, both := range [][2]disk{{test.a, test.b}, {test.b, test.a}} {
			if together, known := both[0].fails(both[1]); together != test.together || known != test.known {
				t.Errorf("%s: together is %v, known %v", name, together, known)
			}
		}
	}
}
