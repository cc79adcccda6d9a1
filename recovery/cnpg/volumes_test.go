package cnpg_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/cnpg"
	"comeback/recovery/cnpg/cnpgtest"
)

// Volumes of a class that retains them cost when their cluster is gone: a run tells of them
// when it has made them, and is not said to have given them back. Where nobody may be asked
// about them, that is told.
func TestRestore_retained(t *testing.T) {
	told := func(says string, before, after func()) {
		t.Helper()
		before()
		o := options(t, cnpgtest.Backup, server.AtSnapshot)
		look := o.Probe
		o.Probe = func(ctx context.Context, env recovery.Env) error {
			after()
			return look(ctx, env)
		}
		end := enginetest.Restore(t, o)
		passes(t, end)
		if claims := end.Claims; !slices.ContainsFunc(claims, func(c recovery.ClaimState) bool { return strings.HasPrefix(c.Details["volumes"], "pv-uid-") }) {
			t.Errorf("no claim knows its volumes: %+v", claims)
		}
		if ready := end.Step("ready"); ready == nil || len(ready.Outcome.Remarks) != 1 || !strings.Contains(ready.Outcome.Remarks[0], says) {
			t.Errorf("when it is ready: %+v", ready)
		}
	}
	told(", each with its disk, which costs as before", func() { server.Retain(true) }, func() { server.Retain(false) })
	told("stay is not known: whoever asks may not get persistentvolumes", func() {
		server.Fail("get persistentvolumes", 1000, 403, "Forbidden", `persistentvolumes is forbidden: User "ops" cannot get resource "persistentvolumes"`)
	}, func() {})
	server.Fine()
	told("whether its volumes stay is not known: get persistentvolumes in shop of production: unavailable: the server is busy", func() {
		server.Fail("get persistentvolumes", 1, 503, "ServiceUnavailable", "the server is busy")
	}, func() {})
	server.Fine()

	server.Retain(true)
	defer server.Retain(false)
	server.Foreign("shop-back")
	server.Remark("shop-back", "comeback-claim", "a claim")
	details := map[string]string{"claim": "a claim", "every": "1ms"}
	for key, v := range component().Settings {
		details[key] = v[0]
	}
	details["every"] = "1ms"
	release := func() error {
		return cnpg.NewSwitcher(cnpg.Options{}).Releasers(nil)[0].Release(t.Context(), recovery.Resource{Kind: cnpg.Cluster, ID: "shop-back", Details: details})
	}
	stays := func(when string) {
		t.Helper()
		if err := release(); err == nil || !strings.Contains(err.Error(), "the cluster is gone, and its volumes stay: pv-uid-foreign") || len(server.Left()) > 0 {
			t.Errorf("given back%s: %v; there is %v", when, err, server.Left())
		}
	}
	stays("")
	stays(" again")
	details["volumes"] = "pv-uid-foreign"
	server.Fail("list persistentvolumes", 1, 403, "Forbidden", `persistentvolumes is forbidden: User "ops" cannot list resource "persistentvolumes"`)
	stays(" where volumes may not be listed")
	server.Reclaim()
	if err := release(); err != nil {
		t.Errorf("the volumes are gone: %v", err)
	}
}

// What is told of volumes goes by their claims: by the names that the operator gives to those
// of a cluster, and not by those of another one whose name begins so.
func TestRelease_othersVolumes(t *testing.T) {
	server.Retain(true)
	defer server.Retain(false)
	defer server.Reclaim()
	details := map[string]string{"claim": "a claim"}
	for key, v := range component().Settings {
		details[key] = v[0]
	}
	details["every"] = "1ms"
	for claim, stays := range map[string]bool{"shop-1": true, "shop-12-wal": true, "shop-1-tbs-fast": true, "shop-b-1": false, "shop-2-1": false, "shop-1-walnut": false, "shop": false} {
		server.Release("pv-of-"+claim, claim)
		err := cnpg.NewSwitcher(cnpg.Options{}).Releasers(nil)[0].Release(t.Context(), recovery.Resource{Kind: cnpg.Cluster, ID: "shop", Details: details})
		if (err != nil) != stays || stays && !strings.Contains(err.Error(), "its volumes stay: pv-of-"+claim+",") {
			t.Errorf("a volume of %s: %v", claim, err)
		}
		server.Reclaim()
	}
}

// expiring is what a step of a removal runs in.
type expiring struct{ recovery.Env }

func (expiring) Target(context.Context, recovery.TargetID) (recovery.Handle, error) {
	return recovery.Handle{}, nil
}
func (expiring) Secret(text string) (string, error) { return text, nil }
func (expiring) Meter() recovery.Meter              { return silent{} }

type silent struct{ recovery.Meter }

func (silent) Phase(string, int64, recovery.Unit) {}

// What was left running is gone when it is removed, and a volume that stays is an exception.
func TestExpire_retained(t *testing.T) {
	w := cnpg.NewSwitcher(cnpg.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, retained := range []bool{false, true} {
		server.Retain(retained)
		server.Foreign("shop-back")
		_, steps, err := w.Expire(recovery.SwitchContext{Component: component()}, recovery.Old{Component: "part", Place: "shop-back",
			Identity: recovery.Identity{string(cnpg.Cluster): "shop-back", "uid": "uid-foreign", "secret": cnpgtest.Source + "-app"}})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(w.Kinds(), func(k recovery.Kind) bool { return k.Name() == steps[0].Kind })
		o, err := w.Kinds()[i].Do(ctx, expiring{}, steps[0])
		if err != nil {
			t.Fatal(err)
		}
		if told := len(o.Exceptions) == 1 && strings.HasPrefix(o.Exceptions[0], "volumes that stay: pv-uid-foreign"); told != retained || strings.Contains(o.Says, "its volumes with it") == retained || len(server.Volumes()) > 0 != retained {
			t.Errorf("retained %t: %q, %q; there is %v", retained, o.Says, o.Exceptions, server.Volumes())
		}
	}
	server.Retain(false)
	server.Reclaim()
}

// The image of today does not start on the data of an earlier major version: a backup of one
// is restored with the image that the runbook has for it, or not.
func TestSurvey_majors(t *testing.T) {
	defer server.Change(func(spec, status map[string]any) (map[string]any, map[string]any) {
		spec["imageName"], status["pgDataImageInfo"] = "ghcr.io/cloudnative-pg/postgresql:16.3", map[string]any{"majorVersion": 16}
		return spec, status
	})()
	for image, want := range map[string]string{
		"":                                       "it is of PostgreSQL 15, and the source is of 16 by now: write `image:` of PostgreSQL 15 into the component",
		"ghcr.io/cloudnative-pg/postgresql:14.5": "it is of PostgreSQL 15, and the source is of 16 by now: write `image:` of PostgreSQL 15 into the component",
		"registry:5000/shop/postgresql:15.10-2":  "",
		"registry:5000/shop/postgresql@sha256:1": "",
	} {
		s := survey(t, component("image", image))
		b, _ := s.Named(cnpgtest.Backup)
		if b.Problem != want || len(s.Windows) > 0 {
			t.Errorf("with the image %q the problem is %q, the windows are %+v", image, b.Problem, s.Windows)
		}
		var f struct {
			Shape struct {
				Spec map[string]any `json:"spec"`
			} `json:"shape"`
		}
		if err := json.Unmarshal(b.Facts, &f); err != nil || want == "" && f.Shape.Spec["imageName"] != image {
			t.Errorf("with the image %q it is made of %v, %v", image, f.Shape.Spec["imageName"], err)
		}
	}
}
