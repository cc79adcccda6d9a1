package switchover

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"comeback/recovery"
	"comeback/recovery/exchange"
)

// A data directory that was put aside goes when its time has come, also after a reboot that
// has called its device otherwise; another one in its place stays.
func TestExpire_dataDirectory(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*exchange.Identity)
		goes   bool
	}{
		"as it was":    {func(*exchange.Identity) {}, true},
		"rebooted":     {func(id *exchange.Identity) { id.Device++ }, true},
		"made anew":    {func(id *exchange.Identity) { id.Born-- }, false},
		"another path": {func(id *exchange.Identity) { id.Inode++ }, false},
	} {
		t.Run(name, func(t *testing.T) {
			place := filepath.Join(t.TempDir(), "data.old-7c31")
			if err := os.Mkdir(place, 0o700); err != nil {
				t.Fatal(err)
			}
			id, err := exchange.Identify(place)
			if err != nil {
				t.Fatal(err)
			}
			c.change(&id)
			inode, err := id.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			old := recovery.Old{Component: "database", Place: place, Identity: recovery.Identity{"inode": string(inode), "data directory": place, "run": "7c31"}}
			target, steps, err := switcher{}.Expire(recovery.SwitchContext{Component: recovery.Component{Name: "database"}}, old)
			if err != nil {
				t.Fatal(err)
			}
			now, err := switcher{}.Identify(t.Context(), target, plainly)
			if differs := old.Identity.Differences(now); err != nil || (len(differs) == 0) != c.goes {
				t.Errorf("it differs: %q, %v", differs, err)
			}
			_, err = expire{}.Do(t.Context(), stopping{}, steps[0])
			if _, there := os.Lstat(place); errors.Is(there, os.ErrNotExist) != c.goes || (err == nil) != c.goes {
				t.Errorf("removed: %v, there: %v", err, there)
			}
		})
	}
}
