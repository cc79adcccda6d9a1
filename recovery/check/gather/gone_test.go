package gather

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/files"
	"comeback/recovery/runner"
	"comeback/recovery/trees"
	"comeback/runbooks"
	"comeback/storage"
	"comeback/storagetest"
)

// A copy and a live tree on a file server that has gone are found as such, and what lies
// elsewhere is looked at: a check ends.
func TestLook_gone(t *testing.T) {
	hung, nearby := storagetest.HungMount(t), t.TempDir()
	rb, problems := runbooks.Parse("shop.md", fmt.Appendf(nil, `---
comeback: 1
system: shop
rpo: 24h
rto: 1h
people: [{role: platform on-call, reach: "+00 000"}]
copies:
  nas: {url: "file://%s"}
  nearby: {url: "file://%s"}
components:
  uploads: {kind: files, path: %s/uploads}
---

# Bring the shop back

## Restore
`+"```yaml\nrestore: uploads\n```\n\n## Switch\n```yaml\nswitch: uploads\n```\n", hung, nearby, hung))
	if rb == nil {
		t.Fatal(problems)
	}
	engines := []recovery.Engine{files.New(files.Options{})}
	as := func(text string) (string, error) { return text, nil }
	e, err := Look(t.Context(), Options{Runbook: rb, At: time.Now(), Now: time.Now, Home: runner.Home{Dir: t.TempDir()}, Engines: engines,
		Switcher: func(recovery.Component) (recovery.Switcher, bool) { return trees.New(), true },
		Open: func(ctx context.Context, c recovery.Copy) (storage.Store, error) {
			u, err := url.Parse(c.URL)
			if err != nil {
				return nil, err
			}
			return storage.OpenDirWithin(ctx, u.Path, time.Second)
		},
		Survey: catalogue.Survey, Skew: func(context.Context, storage.Store) (*time.Duration, error) { return nil, nil }, Expand: as, Redact: func(s string) string { return s },
		Waits: func(string, ...any) {}, Within: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	a := check.Judge(e)
	for _, want := range []string{"refused/nas", "switch/uploads"} {
		if !slices.ContainsFunc(a.Findings, func(f recovery.Judgement) bool { return f.ID == want }) {
			t.Errorf("it does not find %s, but %+v", want, a.Findings)
		}
	}
	if slices.ContainsFunc(a.Findings, func(f recovery.Judgement) bool { return f.ID == "refused/nearby" }) {
		t.Errorf("the other copy is refused: %+v", a.Findings)
	}
	if _, silent := errors.AsType[*storage.Silent](e.Sources["uploads"].Err); !silent {
		t.Errorf("of the tree it says %v", e.Sources["uploads"].Err)
	}
}
