package cnpg

import (
	"cmp"
	"fmt"
	"path/filepath"
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
)

// args are what the steps of a restore are told.
type args struct {
	Component string            `json:"component"`
	Target    recovery.TargetID `json:"target"`
	Facts     facts             `json:"facts"`
	// At is the moment; zero where nothing tells it.
	At    time.Time         `json:"at,omitzero"`
	Every recovery.Duration `json:"every"`
	// Database is the one that checks look at, Secret the one that they sign on by where
	// it is not the application's.
	Database string `json:"database"`
	Secret   string `json:"secret,omitempty"`
}

// Plan creates a cluster, waits until it is healthy and signs on.
func (e engine) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	chain, err := provider.NewChain("CloudNativePG", "that of the Kubernetes cluster", c, t)
	if err != nil {
		return nil, err
	}
	f, err := provider.FactsOf[facts](p)
	if err != nil {
		return nil, err
	}
	every, err := provider.Interval(c, pause)
	if err != nil {
		return nil, err
	}
	a := args{Component: c.Name, Target: t.ID, Facts: f, Every: recovery.Duration(every), Secret: c.Settings.Text("secret"),
		Database: cmp.Or(c.Settings.Text("database"), f.Shape.Database)}
	if !f.toEnd() {
		a.At = p.Time
	}
	chain.Add("restore", restoreKind{}, a, fmt.Sprintf("create a new cluster in %s of %s, %s, which costs %s", f.Access.Namespace, f.Access.Context, p.Says, f.price()),
		recovery.Ref{Copy: p.Copy, Key: p.Backup.ID, Size: p.Backup.Size()})
	chain.Add("ready", readyKind{}, a, "wait until CloudNativePG has restored it and calls it healthy")
	chain.Add("serve", serveKind{}, a, "sign on to it through its service")
	return chain.Steps(), nil
}

// socketOf is what the directory of the socket is made of that checks come in by.
func socketOf(scratch string) string { return filepath.Join(scratch, "service") }
