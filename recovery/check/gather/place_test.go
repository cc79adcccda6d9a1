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
