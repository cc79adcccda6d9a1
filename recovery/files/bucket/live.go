package bucket

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Live is what the switcher of buckets switches: files components that are in a
// bucket, which a copy of the runbook names.
const Live recovery.ComponentKind = "bucket"

// OpenCopy opens a copy of the runbook; expand resolves its references.
type OpenCopy func(ctx context.Context, c recovery.Copy, expand func(string) (string, error)) (storage.Store, error)

// NewSwitcher makes the switcher that brings a bucket back in place: of each key the
// version of the moment becomes the current one, as a new version, and what was not
// there gets a mark of deletion. What is right already is not touched, and no version
// is ever deleted: what was current before is listed by its version, and a switch
// back makes it current again in the same way.
func NewSwitcher(open OpenCopy) recovery.Switcher { return switcher{open} }

type switcher struct{ openCopy OpenCopy }

// Kind is Live.
func (switcher) Kind() recovery.ComponentKind { return Live }

// Keys are what a component says about its live bucket.
func (switcher) Keys() []recovery.Key {
	return []recovery.Key{
		{Name: "live", Doc: "the copy that is the live bucket itself, which a recovery changes in place", Example: "uploads"},
		{Name: "keep", Doc: "how long the versions before a switch are kept in mind; 7d if not set", Example: "7d"},
	}
}

// liveBucket is what a target in a bucket is.
type liveBucket struct {
	Copy   recovery.Copy `json:"copy"`
	Prefix string        `json:"prefix"`
	// Expires is how long after its replacement a rule removes a version.
	Expires recovery.Duration `json:"expires,omitempty"`
}

// Look reads which bucket is live, and refuses one that would lose what is
// overwritten.
func (s switcher) Look(ctx context.Context, c recovery.Component, copies []recovery.Copy, expand func(string) (string, error)) (recovery.Live, error) {
	name := c.Settings.Text("live")
	var b liveBucket
	for _, copy := range copies {
		if copy.Name == name && name != "" {
			b.Copy = copy
		}
	}
	if b.Copy.Name == "" {
		return recovery.Live{}, recovery.Errorf("name the copy that is the live bucket: `live: COPY`", "the runbook does not tell which bucket the live %s is in", c.Name).WithExit(recovery.Usage)
	}
	b.Prefix = c.Settings.Text("prefix")
	id, v, err := s.identify(ctx, b, expand)
	if err != nil {
		return recovery.Live{}, err
	}
	b.Expires = recovery.Duration(v.Expires)
	l := recovery.Live{Component: c.Name, At: time.Now().UTC(),
		Target: recovery.Target{ID: recovery.TargetID("live/" + c.Name), Component: c.Name, Switches: Live, Identity: id,
			Place: id["bucket"] + "/" + b.Prefix, Name: strings.TrimPrefix(id["bucket"], "s3://") + "/" + b.Prefix},
		Effects: recovery.Effects{Target: []string{fmt.Sprintf("%s/%s, the bucket itself, in place; it keeps versions", id["bucket"], b.Prefix)}}}
	if v.Expires > 0 {
		l.Effects.NotUndone = []string{fmt.Sprintf("%s: what a rule of the bucket removes %s after it was replaced", c.Name, recovery.FormatSpan(v.Expires))}
	}
	if l.Target.Facts, err = json.Marshal(b); err != nil {
		return l, fmt.Errorf("keep which bucket is live: %w", err)
	}
	return l, nil
}

// Identify reads anew which bucket it is, and that it keeps versions.
func (s switcher) Identify(ctx context.Context, t recovery.Target, expand func(string) (string, error)) (recovery.Identity, error) {
	b, err := bucketOf(t)
	if err != nil {
		return nil, err
	}
	id, _, err := s.identify(ctx, b, expand)
	return id, err
}

func bucketOf(t recovery.Target) (liveBucket, error) {
	var b liveBucket
	if err := json.Unmarshal(t.Facts, &b); err != nil {
		return b, recovery.Errorf("make a new plan with this version of comeback", "read which bucket %s is: %w", t.ID, err)
	}
	return b, nil
}

func (s switcher) identify(ctx context.Context, b liveBucket, expand func(string) (string, error)) (recovery.Identity, storage.Versioning, error) {
	store, err := s.openCopy(ctx, b.Copy, expand)
	if err != nil {
		return nil, storage.Versioning{}, err
	}
	versions, ok := storage.As[storage.Versioner](store)
	if _, back := storage.As[storage.Reverter](store); !ok || !back {
		return nil, storage.Versioning{}, recovery.Errorf("restore into a directory, and leave it out of the switch", "refused: %s is no bucket that keeps versions", store.URL()).WithExit(recovery.Refused)
	}
	v, err := versions.Versioning(ctx, b.Prefix)
	if err != nil {
		return nil, v, fmt.Errorf("look at %s: %w", store.URL(), err)
	}
	if !v.On {
		return nil, v, recovery.Errorf("turn versioning on, so that what is there now can come back", "refused: %s keeps no versions, and what is overwritten would be gone", store.URL()).WithExit(recovery.Refused)
	}
	id := recovery.Identity{"bucket": strings.TrimSuffix(store.URL(), "/"), "keeps versions": "yes"}
	for name, text := range map[string]string{"account": b.Copy.Account, "endpoint": b.Copy.Endpoint} {
		if text == "" {
			continue
		}
		if id[name], err = expand(text); err != nil {
			return nil, v, err
		}
	}
	return id, v, nil
}

// changeArgs are what every step of a switch in place is told.
type changeArgs struct {
	Component string            `json:"component"`
	Live      recovery.TargetID `json:"live"`
	Scratch   recovery.TargetID `json:"scratch,omitempty"`
	Bucket    liveBucket        `json:"bucket"`
	Moment    time.Time         `json:"moment,omitzero"`
	// Current is the digest of which versions were current at the moment when it was chosen.
	Current string `json:"current,omitempty"`
	// Versions is the list by which a switch back goes, SHA256 its digest.
	Versions string    `json:"versions,omitempty"`
	SHA256   string    `json:"sha256,omitempty"`
	Keep     time.Time `json:"keep_until,omitzero"`
}

// Plan lists the steps, and says what live loses.
func (switcher) Plan(c recovery.SwitchContext) (recovery.Switch, error) {
	b, err := bucketOf(c.Live.Target)
	if err != nil {
		return recovery.Switch{}, err
	}
	if c.Point.Engine != Name || c.Point.Copy != b.Copy.Name {
		return recovery.Switch{}, recovery.Errorf("choose "+b.Copy.Name+" as the copy of "+c.Component.Name,
			"%s goes back in place by the versions of %s, and its point is in %s", c.Component.Name, b.Copy.Name, c.Point.Copy).WithExit(recovery.Refused)
	}
	var f facts
	if err := json.Unmarshal(c.Point.Backup.Facts, &f); err != nil {
		return recovery.Switch{}, recovery.Errorf("survey the copy again", "read what the survey says of %s: %w", c.Point.Backup.ID, err)
	}
	keep := c.KeepUntil
	if until := c.Live.At.Add(time.Duration(b.Expires)).Truncate(time.Second); b.Expires > 0 && until.Before(keep) {
		keep = until
	}
	a := changeArgs{Component: c.Component.Name, Live: c.Live.Target.ID, Scratch: c.Scratch.ID, Bucket: b, Moment: c.Point.Time, Current: f.Current, Keep: keep}
	list := recovery.NewStep("since", sinceName, "list what came after the moment", a)
	list.Writes, list.MayPass = []recovery.TargetID{c.Scratch.ID}, true
	s := recovery.Switch{
		Settle:   []recovery.Step{list},
		Exchange: []recovery.Step{liveStep("revert", revertName, "make the versions of the moment current in "+c.Live.Target.Place, a, c.Scratch.ID)},
		Open:     []recovery.Step{liveStep("open", openBucketName, "keep what is current in "+c.Live.Target.Place, a)},
	}
	s.Effects.Gone = []string{fmt.Sprintf("%s: since the moment %s overwritten, %s deleted and %s new; each of these versions stays in the bucket; MORE EACH SECOND until the writes stop",
		c.Component.Name, recovery.FormatCount(f.Overwritten, "object"), strconv.FormatInt(f.Removed, 10), strconv.FormatInt(f.Added, 10))}
	return s, nil
}

func liveStep(id, kind, says string, a changeArgs, more ...recovery.TargetID) recovery.Step {
	s := recovery.NewStep(id, kind, says, a)
	s.Writes = append([]recovery.TargetID{a.Live}, more...)
	return s
}

// Back lists the steps that make current again what was before.
func (switcher) Back(c recovery.SwitchContext, old recovery.Old) (recovery.Switch, error) {
	b, err := bucketOf(c.Live.Target)
	if err != nil {
		return recovery.Switch{}, err
	}
	if !filepath.IsAbs(old.Place) || old.Identity["sha256"] == "" {
		return recovery.Switch{}, recovery.Errorf("make the versions current by hand", "switch %s back: its run has not said by which list", old.Component).WithExit(recovery.Refused)
	}
	a := changeArgs{Component: c.Component.Name, Live: c.Live.Target.ID, Bucket: b, Versions: old.Place, SHA256: old.Identity["sha256"], Keep: c.KeepUntil}
	return recovery.Switch{
		Exchange: []recovery.Step{liveStep("revert-back", revertName, "make current again what was before in "+c.Live.Target.Place, a)},
		Open:     []recovery.Step{liveStep("open", openBucketName, "keep it", a)},
	}, nil
}

// Kinds are the steps of a switch.
func (switcher) Kinds() []recovery.Kind { return []recovery.Kind{since{}, revert{}, openBucket{}} }

// Releasers make current again what was before a change that was not kept.
func (s switcher) Releasers(expand func(string) (string, error)) []recovery.Releaser {
	return []recovery.Releaser{reverted{s.openCopy, expand}}
}
