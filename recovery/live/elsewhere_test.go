package live_test

import (
	"net"
	"os"
	"testing"

	"comeback/recovery"
	"comeback/recovery/live"
)

// An address leads here by a socket, by localhost, by this machine's name and addresses;
// any other host is named, and so is one that no name server knows.
func TestElsewhere(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"postgres:///shop?host=/run/postgresql":           "",
		"host=/run/postgresql dbname=shop":                "",
		"postgres://shop:hunter2@localhost:1/shop":        "",
		"postgres://shop:hunter2@127.0.0.1:5432/shop":     "",
		"postgres://shop:hunter2@[::1]/shop":              "",
		"postgres://0.0.0.0/shop":                         "",
		"postgres://shop:hunter2@192.0.2.1/shop":          "192.0.2.1",
		"postgres://shop:hunter2@[2001:db8::1]:5432/shop": "2001:db8::1",
		"postgres://shop:hunter2@db1.invalid/shop":        "db1.invalid",
		"host=db1.invalid user=shop dbname=shop":          "db1.invalid",
	}
	ours, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range ours {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			cases["postgres://"+n.IP.String()+"/shop"] = ""
		}
	}
	if _, err := net.LookupHost(name); err == nil {
		cases["postgres://"+name+"/shop"] = ""
	}
	for address, want := range cases {
		if host, err := live.Elsewhere(t.Context(), address); host != want || err != nil {
			t.Errorf("%s leads to %q, %v, want %q", address, host, err, want)
		}
	}
	if _, err := live.Elsewhere(t.Context(), "postgres://localhost"); recovery.ExitOf(err) != recovery.Usage {
		t.Errorf("of no database: %v", err)
	}
}
