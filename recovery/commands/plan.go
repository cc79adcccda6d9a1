package commands

import (
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
)

// args are what both steps of a restore are told.
type args struct {
	Component string            `json:"component"`
	Kind      string            `json:"kind"`
	Copy      recovery.Copy     `json:"copy"`
	Backup    string            `json:"backup"`
	To        time.Time         `json:"to,omitzero"`
	Taken     recovery.Span     `json:"taken"`
	Target    recovery.TargetID `json:"target"`
	Fetch     command           `json:"fetch"`
	Remove    *command          `json:"remove,omitempty"`
	// Database and Superuser are those of a data directory that is fetched.
	Database  string `json:"database,omitempty"`
	Superuser string `json:"superuser,omitempty"`
	// Live is a reference to the live address, which no command may answer with.
	Live string `json:"live,omitempty"`
}

// Plan is two steps: the command fetches, and what it has made is taken into
// service, a server started or its address tried.
func (e engine) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	chain, err := provider.NewChain("a command", "that of this host, for the runbook's command", c, t)
	if err != nil {
		return nil, err
	}
	f, err := provider.FactsOf[facts](p)
	if err != nil {
		return nil, err
	}
	a := args{Component: c.Name, Kind: string(c.Kind), Copy: f.Copy, Backup: f.ID, Taken: p.Backup.Taken, Target: t.ID, Live: c.Settings.Text("url"),
		Database: c.Settings.Text("database"), Superuser: c.Settings.Text("superuser")}
	if f.Window {
		a.To, a.Taken = f.To, recovery.Span{From: f.To, To: f.To}
	}
	if a.Fetch, err = commandOf(c, "fetch"); err != nil {
		return nil, err
	}
	if len(c.Settings["remove"]) > 0 {
		remove, err := commandOf(c, "remove")
		if err != nil {
			return nil, err
		}
		a.Remove = &remove
	}
	chain.Add("fetch", fetchKind{}, a, fmt.Sprintf("fetch %s with %s", f.ID, a.Fetch.Argv[0]), recovery.Ref{Copy: p.Copy, Key: f.ID})
	chain.Add("serve", serveKind{}, a, "take what was fetched into service")
	return chain.Steps(), nil
}
