package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// Archive is a copy that must hold the live server's log.
type Archive interface {
	Name() string
	// Has reports whether a file of the log is there, by PostgreSQL's name, be it
	// compressed or not. It must not say so of one that is empty.
	Has(ctx context.Context, file string) (bool, error)
}

// Protection says whether what is live now is backed up again.
type Protection struct {
	Timeline uint32 `json:"timeline"`
	// History is the timeline's history, "" on timeline 1; First the segment that
	// had to be there, too, Segment the one that was closed now, with everything
	// that had been written.
	History string `json:"history,omitempty"`
	First   string `json:"first,omitempty"`
	Segment string `json:"segment,omitempty"`
	Copies  []Held `json:"copies,omitempty"`
	// Missing is what is not protected, one sentence each; Next is what to do.
	Missing []string `json:"missing,omitempty"`
	Next    string   `json:"next,omitempty"`
}

// Held is what one copy holds.
type Held struct {
	Copy string `json:"copy"`
	// Lacks are the files that it does not hold.
	Lacks []string `json:"lacks,omitempty"`
	// Why says why it could not be asked.
	Why string `json:"why,omitempty"`
}

// Files are what every copy must hold.
func (p Protection) Files() []string {
	return slices.DeleteFunc(slices.Compact([]string{p.History, p.First, p.Segment}), func(name string) bool { return name == "" })
}

// Archives are where and how the log of a live server gets into the copies.
type Archives struct {
	// Copies must hold it.
	Copies []Archive
	// Receiver is the slot through which a receiver takes the log of a server that
	// archives nothing itself; empty where none does.
	Receiver string
}

// Protected makes the live server close its current WAL segment, and waits until every
// copy holds that segment, the timeline's history file and, if first is not empty, the
// segment first, which was closed earlier. It stops waiting when ctx ends or the
// archive_command fails. Whatever is still missing is listed in the result and is not an
// error, because the system has come back all the same; an error means that the server
// could not be asked.
func Protected(ctx context.Context, address string, by Archives, first string) (Protection, error) {
	conn, _, err := dial(ctx, address)
	if err != nil {
		return Protection{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	before, err := postgres.ReadArchiver(ctx, conn)
	if err != nil {
		return Protection{}, err
	}
	p := Protection{Timeline: before.Timeline, First: first}
	if before.Timeline > 1 {
		p.History = walfile.HistoryName(before.Timeline)
	}
	if p.off(before, by) {
		return p, nil
	}
	// Something must be in the segment, else none is closed; the message is
	// nobody's transaction.
	if _, err := conn.Exec(ctx, "select pg_logical_emit_message(false, 'comeback', 'protected')"); err != nil && !postgres.NotAllowed(err) {
		return p, fmt.Errorf("write to the log: %w", err)
	}
	if p.Segment, err = postgres.SwitchWAL(ctx, conn); err != nil {
		p.miss(recovery.HintOf(err), "the segment that is written could not be closed: %v", err)
		return p, nil
	}
	tick := time.NewTicker(protectedPoll)
	defer tick.Stop()
	for {
		p.look(ctx, by.Copies)
		if p.held() {
			return p, nil
		}
		now := before
		if ctx.Err() == nil {
			if now, err = postgres.ReadArchiver(ctx, conn); err != nil && ctx.Err() == nil {
				return p, err
			}
		}
		if now.Failures > before.Failures {
			p.lacking()
			p.miss("read the server's log: it has the words of the archive_command; mend it, then look again", "the archive_command failed for %s at %s", now.Failed, now.FailedAt.UTC().Format(time.RFC3339))
			return p, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.lacking()
			p.Next = "wait for the archiver and look again; if nothing comes, read the server's log"
			if before.Mode == "off" {
				p.Next = "see that comeback wal receive runs for the slot " + by.Receiver + ", and what it says; then look again"
			}
			return p, nil
		}
	}
}

// protectedPoll is how often the copies are asked.
const protectedPoll = 250 * time.Millisecond

// miss notes what is not protected, with what to do first.
func (p *Protection) miss(next, format string, args ...any) {
	p.Missing = append(p.Missing, fmt.Sprintf(format, args...))
	if p.Next == "" {
		p.Next = next
	}
}

// off notes why nothing can come into any copy.
func (p *Protection) off(a postgres.Archiver, by Archives) bool {
	switch {
	case a.InRecovery:
		p.miss("give the address of the primary", "the live server is a standby, and archives nothing of its own")
	case a.Mode == "off" && by.Receiver == "":
		p.miss("set archive_mode = on and an archive_command, and restart the server", "archive_mode is off: nothing of the log gets into a copy")
	case len(by.Copies) == 0:
		p.miss("name a copy that must hold the log", "no copy must hold the log")
	}
	return len(p.Missing) > 0
}

// look asks every copy for what it does not hold yet.
func (p *Protection) look(ctx context.Context, copies []Archive) {
	if p.Copies == nil {
		for _, c := range copies {
			p.Copies = append(p.Copies, Held{Copy: c.Name(), Lacks: p.Files()})
		}
	}
	for i, c := range copies {
		h := &p.Copies[i]
		h.Why = ""
		h.Lacks = slices.DeleteFunc(h.Lacks, func(file string) bool {
			there, err := c.Has(ctx, file)
			if err != nil {
				h.Why = err.Error()
			}
			return there && err == nil
		})
	}
}

func (p *Protection) held() bool {
	return !slices.ContainsFunc(p.Copies, func(h Held) bool { return len(h.Lacks) > 0 })
}

// lacking notes what each copy does not hold.
func (p *Protection) lacking() {
	for _, h := range p.Copies {
		if len(h.Lacks) == 0 {
			continue
		}
		says := fmt.Sprintf("copy %s has no %s", h.Copy, strings.Join(h.Lacks, " and no "))
		if h.Why != "" {
			says = fmt.Sprintf("copy %s could not be asked for %s: %s", h.Copy, strings.Join(h.Lacks, " and "), h.Why)
		}
		p.Missing = append(p.Missing, says)
	}
}

// StoreArchive is the archive in a store: the log's files under a prefix, as they
// are or compressed by one of the usual tools.
type StoreArchive struct {
	Copy   string
	Store  storage.Store
	Prefix string
}

// Name is the copy's.
func (a StoreArchive) Name() string { return a.Copy }

// packings are how archives compress.
var packings = []string{"", ".gz", ".zst", ".lz4", ".bz2", ".xz"}

// Has asks for the file and for each way to compress it.
func (a StoreArchive) Has(ctx context.Context, file string) (bool, error) {
	for _, suffix := range packings {
		o, err := a.Store.Stat(ctx, a.Prefix+file+suffix)
		if errors.Is(err, storage.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		return o.Size > 0, nil
	}
	return false, nil
}
