package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/report"
	"comeback/runbooks"
	"comeback/storage"
	"comeback/storage/s3"
)

// inCopy reports whether a RUNBOOK is the URL of a copy, and not a file.
func inCopy(runbook string) bool {
	return strings.HasPrefix(runbook, "file://") || strings.HasPrefix(runbook, "s3://")
}

// whichRunbook is where the URL of a runbook leads to.
type whichRunbook struct {
	// store is the URL of the copy, system whose runbook is meant (empty for the only one
	// there is), key the very one that is meant (empty for the newest).
	store, system, key string
}

// keptAt reads a URL: of a copy, of the runbooks in it, of those of a system, or of one.
func keptAt(text string) (whichRunbook, error) {
	const in = "/" + backup.RunbooksIn
	text = strings.TrimRight(text, "/") + "/"
	var k whichRunbook
	var rest string
	if i := strings.LastIndex(text, in); i >= 0 {
		k.store, rest = text[:i], strings.TrimSuffix(text[i+len(in):], "/")
		if path.Ext(rest) == ".md" {
			k.key, rest = backup.RunbooksIn+rest, ""
		}
	} else if k.store = strings.TrimSuffix(text, "/"); path.Ext(k.store) == ".md" {
		i := strings.LastIndex(k.store, "/")
		k.store, k.key = k.store[:i], k.store[i+1:]
	}
	if k.system = rest; strings.Contains(rest, "/") {
		return k, usage("give the URL of a copy, "+k.store+in+"SYSTEM, or the URL of one Markdown file there", "%s is neither a copy nor a runbook in one", strings.TrimSuffix(text, "/"))
	}
	if k.store == "s3:" || k.store == "s3:/" {
		return k, usage("write s3://bucket/prefix", "s3:// names no bucket")
	}
	if k.store == "file:/" || k.store == "file:" || k.store == "file://" {
		k.store = "file:///"
	}
	return k, nil
}

// onlyFound reports whether a runbook was found in a copy, where nobody has named this very
// one: whoever may write into the copy may have put it there.
func onlyFound(asked, path string) bool { return inCopy(asked) && asked != path }

// notNamed refuses what a runbook that was found may not do before somebody has named it.
func notNamed(path, what string) error {
	return recovery.Errorf("compare its SHA-256 with the one in the last report that you trust, and give this very one: "+path+"; or name a list with --signers in which the key that has signed it stands",
		"refused: the runbook was found in a copy, into which others may write, and %s", what).WithExit(recovery.Refused)
}

// judgeFound refuses a runbook that was found by what this host would do because of it before
// anybody has confirmed anything.
func (a *app) judgeFound(asked, path string, rb *runbooks.Runbook) error {
	// Somebody who is known here has signed it for this system. That it is the newest of
	// theirs no signature says, so that it counts for no more than this.
	if !onlyFound(asked, path) || a.books.vouched(path, rb.System) {
		return nil
	}
	if what := rb.Reaches(vocabulary()); what != "" {
		return notNamed(path, what)
	}
	return nil
}

// rehearsesUnasked refuses a rehearsal by a runbook that was found whose blocks do something on
// this host, where nobody is asked about them.
func (a *app) rehearsesUnasked(b *book) error {
	if !b.found || a.books.vouched(b.path, b.System) {
		return nil
	}
	if name := b.Acts(); name != "" {
		return notNamed(b.path, fmt.Sprintf("nobody is asked here about its block “%s”, which would run on this host", name))
	}
	return nil
}

// asFile adds to what keeps a runbook of a copy from a plan how it becomes a file, in which
// it can say something else.
func (b *book) asFile(err error) error {
	hint := recovery.HintOf(err)
	if !inCopy(b.path) || hint == "" || recovery.ExitOf(err) == recovery.Usage {
		return err
	}
	get, file := "aws s3 cp "+recovery.ShellWord(b.path), recovery.ShellWord(b.System+".md")
	if u, failed := url.Parse(b.path); failed == nil && u.Scheme == "file" {
		get = "cp " + recovery.ShellWord(u.Path)
	}
	return recovery.Errorf(fmt.Sprintf("%s; what the runbook says is changed in a file: %s %s, then give that", hint, get, file), "%w", err).WithExit(recovery.ExitOf(err))
}

// runbookURL is the URL of an object of a copy.
func runbookURL(store, key string) string { return strings.TrimSuffix(store, "/") + "/" + key }

// readCopied reads the runbook that the URL of a copy leads to, and gives the URL of that
// very one, under which it is read again. It is said once which it is.
func (a *app) readCopied(ctx context.Context, text string) (string, []byte, error) {
	if b, ok := a.copied(text); ok {
		return text, b, nil
	}
	k, err := keptAt(text)
	if err != nil {
		return "", nil, err
	}
	_, again := a.books.had(text) // the console is open perhaps
	w := a.waits(!again)
	defer w.end()
	w.on("looking for the runbook in %s", k.store)
	store, err := a.openURL(ctx, k.store)
	if err != nil {
		return "", nil, explainURL(err)
	}
	found, err := k.find(ctx, store, a.now())
	if err != nil {
		return "", nil, explainURL(err)
	}
	b, err := backup.ReadRunbook(ctx, store, found, maxRunbook+1)
	if err != nil {
		return "", nil, explainURL(err)
	}
	of := runbookURL(k.store, found.Key)
	armored, err := backup.RunbookSignature(ctx, store, found)
	if err != nil {
		return "", nil, explainURL(err)
	}
	w.end()
	var known report.VerifyOptions
	if armored != nil || a.signers != "" { // it reads all runs
		known, err = a.signersKnown()
	}
	if err != nil && a.signers != "" { // else a list that cannot be read knows nobody
		return "", nil, err
	}
	signed, err := a.books.signed(of, b, armored, known)
	if err != nil {
		return "", nil, recovery.Errorf("find out who changed it, and give the URL of another one that lies beside it, or of another copy",
			"refused: what lies beside %s as its signature: %w", of, err).WithExit(recovery.Refused)
	}
	if a.books.take(of, b) {
		fmt.Fprintf(a.err, "comeback: the runbook is that of %s, %sSHA-256 %s: %s\n", found.At.UTC().Format(time.RFC3339), signed, sumOf(b), clean(a.redact(of)))
	}
	return of, b, nil
}

// copiedBooks are the runbooks that this process has read from copies, by their URLs.
type copiedBooks struct {
	mu   sync.Mutex
	read map[string][]byte
	// known are those whose signer is known here.
	known map[string]bool
	// first is the one that the command line names, which --as-of is about: it is opened
	// before all others.
	first string
}

// then reports whether a runbook is the one that the command line names.
func (c *copiedBooks) then(path string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first = cmp.Or(c.first, path)
	return c.first == path
}

// signed holds a runbook against its signature, and says of whom that is; "" where it has
// none.
func (c *copiedBooks) signed(of string, b, armored []byte, known report.VerifyOptions) (string, error) {
	if armored == nil {
		return "", nil
	}
	v, err := report.VerifyRunbook(b, armored, known)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]bool{}
	}
	c.known[of] = v.Trusted()
	return clean(saysSigned(v)) + ", ", nil
}

// vouched reports whether somebody whom the reader's list names has signed a runbook that
// lies where those of its system do.
func (c *copiedBooks) vouched(of, system string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[of] && strings.HasSuffix(strings.TrimSuffix(of, path.Base(of)), "/"+backup.RunbooksIn+system+"/")
}

// take keeps one, and reports whether it is the first time.
func (c *copiedBooks) take(of string, b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, again := c.read[of]
	if c.read == nil {
		c.read = map[string][]byte{}
	}
	c.read[of] = b
	return !again
}

func (c *copiedBooks) had(of string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.read[of]
	return b, ok
}

// find finds the runbook that is meant: the very one, or the newest of the system.
func (k whichRunbook) find(ctx context.Context, store storage.Store, now time.Time) (backup.Runbook, error) {
	if k.key != "" {
		found, err := backup.StatRunbook(ctx, store, k.key)
		if errors.Is(err, storage.ErrNotExist) {
			return found, usage("leave the name of the file out for the newest one there", "there is no runbook %s", runbookURL(k.store, k.key))
		}
		return found, err
	}
	all, err := backup.Runbooks(ctx, store, "")
	if err != nil {
		return backup.Runbook{}, err
	}
	// One of the future was stored by a host with a wrong clock, or by somebody who wants it found.
	all = slices.DeleteFunc(all, func(r backup.Runbook) bool { return r.At.After(now.Add(24 * time.Hour)) })
	var systems []string
	for _, r := range all {
		if !slices.Contains(systems, r.System) {
			systems = append(systems, r.System)
		}
	}
	slices.Sort(systems)
	switch {
	case len(systems) == 0:
		return backup.Runbook{}, usage("give the URL of another copy, or of one Markdown file, or a file: comeback backup stores the runbook beside each backup, comeback check where other programs take them; what was deleted from a bucket that keeps versions is seen with --as-of TIME",
			"%s holds no runbook: there is none under %s", k.store, backup.RunbooksIn)
	case k.system == "" && len(systems) > 1:
		return backup.Runbook{}, usage("choose one by its URL, like "+runbookURL(k.store, backup.RunbooksIn+systems[0]),
			"%s holds the runbooks of %d systems: %s", k.store, len(systems), strings.Join(systems, ", "))
	}
	for _, r := range all { // the newest first
		if k.system == "" || r.System == k.system {
			return r, nil
		}
	}
	return backup.Runbook{}, usage("it has those of: "+strings.Join(systems, ", "), "%s holds no runbook of %s", k.store, k.system)
}

// copied is a runbook of a copy that this process has read, or that a run of this host
// was made from, by the URL of that very one: its name has its digest, by which both are
// what the copy holds.
func (a *app) copied(of string) ([]byte, bool) {
	digest := backup.RunbookDigest(of)
	if digest == "" {
		return nil, false
	}
	if b, ok := a.books.had(of); ok {
		return b, true
	}
	home, err := a.home()
	if err != nil {
		return nil, false
	}
	runs, err := os.ReadDir(home.Runs())
	if err != nil {
		return nil, false
	}
	for _, r := range runs {
		p, err := home.Look(r.Name())
		if err != nil || p.Problem != nil || p.Plan.Runbook.Path != of {
			continue
		}
		f, err := os.Open(filepath.Join(p.Dir, recovery.RunbookFile))
		if err != nil {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(f, maxRunbook+1))
		if err = errors.Join(err, f.Close()); err == nil && sumOf(b) == digest {
			return b, true
		}
	}
	return nil, false
}

// openURL opens a copy that no runbook describes: what else it takes comes from the
// environment and the profile.
func (a *app) openURL(ctx context.Context, text string) (storage.Store, error) {
	if strings.HasPrefix(text, "s3://") {
		store, err := s3.Open(ctx, s3.Options{URL: text, PathElsewhere: true})
		if err != nil {
			return nil, err
		}
		return asOf(store, a.asOf)
	}
	u, err := url.Parse(text)
	if err != nil || u.Host != "" || !filepath.IsAbs(u.Path) {
		return nil, usage("write file:///directory, or s3://bucket/prefix", "%s is not the URL of a directory", text)
	}
	return storage.OpenDir(u.Path)
}

// explainURL gives what a copy refuses its next step, where no runbook has named the copy.
func explainURL(err error) error {
	hint, exit := "", recovery.Usage
	missing, noProfile := errors.AsType[storage.NoProfile](err)
	switch {
	case noProfile:
		hint = "make it here: aws configure --profile " + recovery.ShellWord(missing.Name) + "; or unset AWS_PROFILE, where the keys are in the environment"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, storage.ErrUnavailable):
		hint, exit = "check the network and AWS_ENDPOINT_URL, then try again, or give the URL of another copy", recovery.Failed
	case errors.Is(err, storage.ErrExpired):
		hint = "sign in again (aws sso login), then try again"
	case errors.Is(err, storage.ErrDenied):
		hint = "check with `aws sts get-caller-identity` who you are (AWS_PROFILE chooses); it takes s3:ListBucket and s3:GetObject, or read permission on the directory"
	case errors.Is(err, storage.ErrConfig), errors.Is(err, storage.ErrNotExist):
		hint = "correct the URL (file:///directory or s3://bucket/prefix); region, endpoint and account come from AWS_REGION, AWS_ENDPOINT_URL and AWS_PROFILE"
	default:
		return err
	}
	return (&recovery.Error{What: err.Error(), Hint: hint, Err: err}).WithExit(exit)
}
