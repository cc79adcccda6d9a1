package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/files/tree"
)

// compare tells what a restored configuration holds and how it differs from what
// is live on this host, where its tree is the directory base: names, sizes and modes, never
// values, and no digests of them: what it tells is filed in the copies in clear, and a short
// password can be guessed by its digest.
func (s *scratch) compare(env recovery.Env, base string, o *recovery.Outcome) error {
	out, _, err := recovery.NewArtifact(env, s.args.Component+".files", ".txt")
	if err != nil {
		return err
	}
	count := map[string]int{}
	first := ""
	note := func(says, name, about string) error {
		if count[says]++; says != same && first == "" {
			first = says + ": " + tree.Show(name)
		}
		_, err := fmt.Fprintf(out, "%s\t%q\t%s\n", says, name, about)
		return err
	}
	restored := map[string]bool{}
	err = filepath.WalkDir(s.Tree(), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(s.Tree(), p)
		if err != nil {
			return err
		}
		restored[filepath.Join(base, name)] = true
		mine, digest, err := aboutOf(p)
		if err != nil {
			return err
		}
		live, liveDigest, err := aboutOf(filepath.Join(base, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return note(onlyHere, name, mine)
		case err != nil:
			return note(notLooked, name, mine)
		case live != mine:
			return note(differs, name, mine+", live "+live)
		case liveDigest != digest:
			return note(differs, name, mine+", live the same with other content")
		}
		return note(same, name, mine)
	})
	if err == nil {
		err = s.onlyLive(restored, note)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("compare with live: %w", err)
	}
	for says, n := range count {
		o.Facts["files "+says] = strconv.Itoa(n)
	}
	if first != "" {
		o.Remarks = append(o.Remarks, fmt.Sprintf("%d of %d files are not as they are live on this host; %s", total(count)-count[same], total(count), first))
	}
	return nil
}

// liveBase is the live directory of the tree, what its backup tells first.
func (s *scratch) liveBase(of string) string {
	switch {
	case of != "":
		return of
	case len(s.args.Live) == 1:
		return s.args.Live[0]
	}
	return "/"
}

// How a file of a restored configuration stands to the live one.
const (
	same      = "as live"
	differs   = "differs from live"
	onlyHere  = "not live"
	onlyLive  = "only live"
	notLooked = "live may not be read"
)

func total(count map[string]int) (n int) {
	for _, k := range count {
		n += k
	}
	return n
}

// onlyLive notes the files that are live and not restored.
func (s *scratch) onlyLive(restored map[string]bool, note func(says, name, about string) error) error {
	for _, p := range s.args.Live {
		if !path.IsAbs(p) {
			continue // a reference: nobody knows where it leads on this host
		}
		err := filepath.WalkDir(path.Clean(p), func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || restored[p] {
				return nil // what cannot be read was noted above
			}
			about, _, err := aboutOf(p)
			if err != nil {
				about = ""
			}
			return note(onlyLive, p, about)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// aboutOf describes a file without its content, of which the digest is told apart.
func aboutOf(p string) (about, digest string, err error) {
	info, err := os.Lstat(p)
	if err != nil {
		return "", "", err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(p)
		return "a link to " + tree.Show(to), "", err
	case !info.Mode().IsRegular():
		return "no file", "", nil
	}
	if digest, err = tree.DigestOf(p); err != nil {
		return "", "", err
	}
	return fmt.Sprintf("%s, %d bytes", info.Mode(), info.Size()), digest, nil
}
