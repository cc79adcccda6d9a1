package gather

import (
	"os/user"
	"path/filepath"
	"slices"

	"comeback/recovery/check"
	"comeback/recovery/postgres"
	"comeback/recovery/push"
	"comeback/recovery/runner"
)

// Spools are the places on this host in which the log of a component may wait: in the state
// of whoever looks, in the one that all share, and in that of the server's user, who pushes.
func Spools(state, system, component string) []string {
	var spools []string
	states := []string{state, runner.SharedState}
	if owner, err := postgres.ServerUser(); err == nil {
		if u, err := user.Lookup(owner.Name); err == nil {
			states = append(states, filepath.Join(u.HomeDir, ".local/state/comeback"))
		}
	}
	for _, state := range states {
		for _, spool := range []string{push.SpoolIn(state, system, component), push.FormerSpoolIn(state, system, component)} {
			if !slices.Contains(spools, spool) {
				spools = append(spools, spool)
			}
		}
	}
	return spools
}

// Received is what this host has received of the log of a database and not pushed, beside its
// spools.
func Received(component string, spools []string) []check.Received {
	var all []check.Received
	for _, spool := range spools {
		r := check.Received{Component: component, Dir: push.ReceivedBeside(spool)}
		u, err := push.ReadUnpushed(r.Dir)
		r.Err, r.Lacking = err, check.Lacking{Files: u.Files, Bytes: u.Bytes, Since: u.Since}
		r.Partial, r.Until = u.Partial, u.Until
		if r.Err != nil || r.Files > 0 || r.Partial != "" {
			all = append(all, r)
		}
	}
	return all
}
