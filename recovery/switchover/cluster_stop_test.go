package switchover

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/live"
)

// stopping is the Env of a step that stops a server.
type stopping struct{ releaseEnv }

func (stopping) Now() time.Time                                 { return time.Now() }
func (stopping) Secret(text string) (string, error)             { return text, nil }
func (stopping) Claim(context.Context, recovery.Resource) error { return nil }
func (stopping) Target(context.Context, recovery.TargetID) (h recovery.Handle, err error) {
	return h, nil
}

// A server that was started after the switch had stopped it, by a reboot for example, is to
// stop again, and what is lost to count again: also where somebody has stopped it since.
func TestStop_Revive(t *testing.T) {
	tools, data, address := serving(t)
	service := live.Service{Data: data, Tools: tools}
	id, err := exchange.Identify(data)
	if err != nil {
		t.Fatal(err)
	}
	id.Device++ // as it was called before a reboot
	inode, err := id.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	a := clusterArgs{Data: data, Aside: data + ".old", Major: tools.Major, Old: string(inode), New: "1:1"}
	a.Address, a.Run = address, "7c31"
	for _, back := range []bool{false, true} {
		if back {
			a.Back, a.Old, a.New = true, a.New, a.Old
		}
		step := recovery.NewStep("stop", stopName, "stop", a)
		var o recovery.Outcome
		stop := func() {
			t.Helper()
			if o, err = (stopKind{}).Do(t.Context(), stopping{}, step); err != nil {
				t.Fatal(err)
			}
		}
		gone := func(want bool, where string) {
			t.Helper()
			if err := (stopKind{}).Revive(t.Context(), nil, step, o, false); errors.Is(err, recovery.ErrGone) != want || !want && err != nil {
				t.Errorf("%s, back %v: %v", where, back, err)
			}
		}
		stop()
		gone(false, "stopped")
		if err := service.Start(t.Context(), releaseEnv{}, address); err != nil {
			t.Fatal(err)
		}
		gone(true, "started again")
		if _, err := service.Stop(t.Context(), releaseEnv{}); err != nil {
			t.Fatal(err)
		}
		gone(true, "stopped by hand")
		stop()
		gone(false, "stopped again")
		// Exchanged, and killed before that was recorded.
		for _, err := range []error{os.Rename(data, a.Aside), os.Mkdir(data, 0o700)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		gone(false, "exchanged")
		for _, err := range []error{os.Remove(data), os.Rename(a.Aside, data)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
