package main

import (
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/cnpg"
	"comeback/recovery/commands"
	"comeback/recovery/rds"
	"comeback/recovery/rescue"
)

// Whatever the engines and switchers may claim is given back by somebody, and by one
// alone.
func TestReleasers(t *testing.T) {
	found := map[recovery.ResourceKind]int{}
	for _, r := range releasers(time.Now, func(text string) (string, error) { return text, nil }) {
		found[r.Resource()]++
	}
	for _, kind := range []recovery.ResourceKind{recovery.Cluster, commands.Instance, rds.Instance, rds.Cluster, cnpg.Cluster, recovery.Exchanged, rescue.Rescued} {
		if found[kind] == 0 {
			t.Errorf("nobody gives back a claim of the kind %q", kind)
		}
	}
	for kind, n := range found {
		if n > 1 {
			t.Errorf("%d give back claims of the kind %q", n, kind)
		}
	}
}
