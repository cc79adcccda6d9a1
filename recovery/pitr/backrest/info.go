package backrest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/storage"
)

// stanza is one as `info --output=json` tells it.
type stanza struct {
	Name    string `json:"name"`
	Backups []struct {
		Label   string `json:"label"`
		Type    string `json:"type"` // full, diff, incr
		Error   bool   `json:"error"`
		Archive struct {
			Start string `json:"start"`
			Stop  string `json:"stop"`
		} `json:"archive"`
		Backrest struct {
			Version string `json:"version"`
		} `json:"backrest"`
		Database ref `json:"database"`
		Info     struct {
			Size       int64 `json:"size"`
			Repository struct {
				Size int64 `json:"size"`
			} `json:"repository"`
		} `json:"info"`
		LSN *struct {
			Start recovery.LSN `json:"start"`
			Stop  recovery.LSN `json:"stop"`
		} `json:"lsn"`
		Reference []string `json:"reference"`
		Timestamp struct {
			Start int64 `json:"start"`
			Stop  int64 `json:"stop"`
		} `json:"timestamp"`
		Annotation map[string]string `json:"annotation"`
		// Of one backup alone:
		Tablespaces []struct {
			OID         json.Number `json:"oid"`
			Name        string      `json:"name"`
			Destination string      `json:"destination"`
		} `json:"tablespace"`
	} `json:"backup"`
	Archives []struct {
		Database ref    `json:"database"`
		ID       string `json:"id"`
	} `json:"archive"`
	Databases []struct {
		ID      int         `json:"id"`
		Repo    int         `json:"repo-key"`
		System  json.Number `json:"system-id"`
		Version string      `json:"version"`
	} `json:"db"`
	Repos []struct {
		Key    int    `json:"key"`
		Cipher string `json:"cipher"`
		Status status `json:"status"`
	} `json:"repo"`
	Status status `json:"status"`
}

// ref names a cluster that the stanza has had, in one of its repositories.
type ref struct {
	ID   int `json:"id"`
	Repo int `json:"repo-key"`
}

type status struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// The codes of a stanza's state.
const (
	stateOK         = 0
	stateNoPath     = 1
	stateNoBackup   = 2
	stateNoData     = 3
	stateMixed      = 4
	stateMismatch   = 5
	stateNoSuchBack = 6
)

// info asks about the stanza; label, where it is not empty, about one of its backups.
func (r *repository) info(ctx context.Context, label string) (stanza, error) {
	args := []string{"info", "--output=json"}
	if label != "" {
		args = append(args, "--set="+label)
	}
	out, err := r.ask(ctx, args...)
	if err != nil {
		return stanza{}, fmt.Errorf("ask pgBackRest about stanza %s: %w", r.Stanza, err)
	}
	return parseInfo(out, r.Stanza)
}

// parseInfo reads what info prints.
func parseInfo(text []byte, name string) (stanza, error) {
	// What a wrong key makes of a file is repeated as it is.
	text = bytes.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	var all []stanza
	if err := json.Unmarshal(text, &all); err != nil {
		return stanza{}, recovery.Errorf("use a version of pgBackRest from 2.36 on", "read what pgBackRest says of stanza %s: %w", name, err)
	}
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
	}
	return stanza{Name: name, Status: status{Code: stateNoPath, Message: "missing stanza path"}}, nil
}

// state is that of the repository; of the stanza, where it does not have one of its own.
func (s stanza) state(repo int) status {
	for _, r := range s.Repos {
		if r.Key == repo {
			return r.Status
		}
	}
	return s.Status
}

// judge tells what is wrong with a stanza that can be judged, as findings; the error is
// of one that cannot.
func (s stanza) judge(repo int, c *pitr.Contents) error {
	found := func(says, do string) {
		c.Findings = append(c.Findings, recovery.Finding{Object: "stanza " + s.Name, Says: says, Do: do})
	}
	switch state := s.state(repo); state.Code {
	case stateOK, stateNoSuchBack:
	case stateNoPath, stateNoData:
		found(fmt.Sprintf("repository %d does not have it (%s)", repo, state.Message), "correct `stanza`, `repo` and `config` of the component, or make it with: pgbackrest --stanza="+s.Name+" stanza-create")
	case stateNoBackup:
		found(fmt.Sprintf("repository %d holds no backup of it", repo), "make one with: pgbackrest --stanza="+s.Name+" backup")
	case stateMixed, stateMismatch:
		found("pgBackRest says: "+state.Message, "look with: pgbackrest --stanza="+s.Name+" check")
	default:
		return fmt.Errorf("judge stanza %s: %w", s.Name, failure(-1, state.Message))
	}
	return nil
}

// others names the stanzas that the repository has instead of a missing one, in words to add
// to what to do; "" where it has none, or does not tell.
func (r *repository) others(ctx context.Context) string {
	c := r.call(nil, "info", "--output=json")
	c.Args = slices.DeleteFunc(c.Args, func(arg string) bool { return strings.HasPrefix(arg, "--stanza=") })
	out, err := r.program.Ask(ctx, r.access.Env, c)
	var all []stanza
	if err != nil || json.Unmarshal(out, &all) != nil {
		return ""
	}
	var names []string
	for _, s := range all {
		if s.Name != r.Stanza && s.state(r.Repo).Code != stateNoPath {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; repository " + strconv.Itoa(r.Repo) + " has " + strings.Join(names, ", ")
}

// Contents asks for everything once.
func (r *repository) Contents(ctx context.Context) (pitr.Contents, error) {
	s, err := r.info(ctx, "")
	if err != nil {
		return pitr.Contents{}, err
	}
	var c pitr.Contents
	if err := s.judge(r.Repo, &c); err != nil {
		return pitr.Contents{}, err
	}
	if code := s.state(r.Repo).Code; code == stateNoPath || code == stateNoData {
		c.Findings[len(c.Findings)-1].Do += r.others(ctx)
	}
	for _, repo := range s.Repos {
		r.Sealed = r.Sealed || repo.Key == r.Repo && repo.Cipher != "none"
	}
	if err := r.archives(ctx, s, &c); err != nil {
		return pitr.Contents{}, err
	}
	r.bases(s, &c)
	return c, r.same(ctx, &c)
}

// archives lists the log of each cluster that the stanza has had.
func (r *repository) archives(ctx context.Context, s stanza, c *pitr.Contents) error {
	for _, a := range s.Archives {
		if a.Database.Repo != r.Repo {
			continue
		}
		p := pitr.Place{Dir: r.archive() + a.ID + "/", Nested: true}
		files, odd, err := r.list(ctx, strings.TrimSuffix(p.Dir, "/"), "", true)
		if err != nil {
			return err
		}
		r.places = append(r.places, p)
		c.Findings = append(c.Findings, odd.findings()...)
		archive := pitr.Archive{Places: []pitr.Place{p}, Files: files}
		for _, d := range s.Databases {
			if d.ID == a.Database.ID && d.Repo == r.Repo {
				archive.System = d.System.String()
			}
		}
		c.Archives = append(c.Archives, archive)
	}
	return nil
}

// kinds are pgBackRest's words for them, for people.
var kinds = map[string]string{"full": "full", "diff": "differential", "incr": "incremental"}

// bases describes the backups.
func (r *repository) bases(s stanza, c *pitr.Contents) {
	for _, b := range s.Backups {
		if b.Database.Repo != r.Repo {
			continue
		}
		base := pitr.Base{ID: b.Label, Format: Name, Root: r.Prefix + r.backups() + b.Label, Name: b.Label,
			Form: kinds[b.Type] + " backup of pgBackRest", Unpacked: b.Info.Size,
			Started: time.Unix(b.Timestamp.Start, 0).UTC(), Ended: time.Unix(b.Timestamp.Stop, 0).UTC(),
			Details: map[string]string{"stanza": s.Name, "repository": strconv.Itoa(r.Repo), "made by": "pgBackRest " + b.Backrest.Version}}
		base.Objects = []storage.Object{{Key: base.Root, Size: b.Info.Repository.Size, Modified: base.Ended}}
		if len(b.Reference) > 0 {
			base.Details["builds on"] = strings.Join(b.Reference, ", ")
		}
		for name, text := range b.Annotation {
			base.Details["annotation "+name] = text
		}
		for _, d := range s.Databases {
			if d.ID == b.Database.ID && d.Repo == r.Repo {
				base.System = d.System.String()
				major, _, _ := strings.Cut(d.Version, ".")
				if n, err := strconv.Atoi(major); err == nil {
					base.Major = n
				}
			}
		}
		start, ok := pitr.ParseFileName(b.Archive.Start)
		switch {
		case b.LSN == nil || b.LSN.Stop == 0:
			base.Problem = "it was taken of a server that was stopped, or by a pgBackRest before 2.36: its list does not say where in the log it stands"
		case !ok:
			base.Problem = fmt.Sprintf("its list does not say which log it needs, but %q", b.Archive.Start)
		default:
			base.Start, base.Stop, base.Timeline = b.LSN.Start, b.LSN.Stop, start.Timeline
		}
		if b.Error {
			const says = "pgBackRest found pages with wrong checksums when it made this backup: what was damaged then is damaged in it"
			base.Warnings = append(base.Warnings, says)
			c.Findings = append(c.Findings, recovery.Finding{Object: b.Label, Says: says,
				Do: "see which with: pgbackrest --stanza=" + s.Name + " --set=" + b.Label + " info; go to a backup before it, and rehearse it with a check of soundness"})
		}
		c.Bases = append(c.Bases, base)
	}
	slices.SortStableFunc(c.Bases, func(a, b pitr.Base) int { return cmp.Compare(a.Start, b.Start) })
}

// same looks whether the copy, where it can be read here, is the repository that
// pgBackRest has listed: else the one would be taken for a proof of the other.
func (r *repository) same(ctx context.Context, c *pitr.Contents) error {
	if !r.beside || len(c.Bases) == 0 {
		return nil
	}
	newest := c.Bases[len(c.Bases)-1]
	_, err := r.access.Store.Stat(ctx, newest.Root+"/backup.manifest")
	if errors.Is(err, storage.ErrNotExist) {
		return recovery.Errorf(fmt.Sprintf("correct the copy's url, or `repo` and `config` of the component; or write `repo: [COPY=%d]` where both are right", r.Repo),
			"backup %s, which pgBackRest lists in repository %d, is not in the copy at %s: it is another repository", newest.ID, r.Repo, r.access.Store.URL()).WithExit(recovery.Usage)
	}
	return err
}
