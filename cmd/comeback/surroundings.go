package main

import (
	"io"
	"os"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/execute"
	"comeback/recovery/neighbours"
	"comeback/recovery/runner"
)

// app is the program's hold on its surroundings, all of it injected.
type app struct {
	streams
	host
	commandLine
	readOnce
	probes
}

// streams are what the program reads from whoever has started it, and where it tells.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// host is where the program stands: its environment and clock, and where its host keeps what
// it knows and does by itself.
type host struct {
	lookup  func(string) (string, bool)
	environ []string
	now     func() time.Time
	secrets *execute.Secrets
	// shared is the state directory that all users of this host share, where it is there.
	shared string
	// unitDir and cronDir are where this host keeps what it does by itself.
	unitDir, cronDir string
	// giveWay lowers the priority of this process and of what it starts; nil does
	// nothing.
	giveWay func() error
}

// commandLine is what the command line that is carried out says of all that the program does.
type commandLine struct {
	args    []string
	signers string // the reader's own list
	// asOf is the moment as of which copies that keep versions are read, where it names one.
	asOf time.Time
	// tether is a process that runs must not outlive; 0 is none.
	tether int
	// noHelp is why --help has shown none.
	noHelp error
}

// readOnce is what was read from copies and is kept for the rest of this process.
type readOnce struct {
	// books are the runbooks that were read from copies.
	books *copiedBooks
	// manifests are what those in the copies have told of other systems.
	manifests *neighbours.Cache
}

// probes are what tests choose, and hear of. They are empty but in tests.
type probes struct {
	// nextID is the ID of the next run.
	nextID string
	// longest, where it is not nil, is the longest that a hold on backups is waited for.
	longest *time.Duration
	// intent and event are told of every event of a run in this process,
	// before and after it is written.
	intent func(recovery.Payload)
	event  func(recovery.Event)
	// surveyed and gathered are handed what was seen before anybody judges it, so that
	// tests on a moved clock move what other clocks have told with it.
	surveyed func(*catalogue.Catalogue)
	gathered func(*check.Evidence)
	// skewed is handed how far a copy's clock is ahead of this host's, for the same.
	skewed func(time.Duration) time.Duration
	// spawned is called when the process of a run has begun it, before anybody is attached
	// to it.
	spawned func()
}

// newApp is the program in the surroundings of this process.
func newApp() *app {
	return &app{
		streams: streams{in: os.Stdin, out: os.Stdout, err: os.Stderr},
		host: host{lookup: os.LookupEnv, environ: os.Environ(), now: time.Now, secrets: execute.NewSecrets(os.LookupEnv, nil, execute.KnownSecrets...),
			shared: runner.SharedState, unitDir: unitDir, cronDir: cronDir, giveWay: giveWay},
		readOnce: readOnce{books: &copiedBooks{}, manifests: &neighbours.Cache{}},
	}
}
