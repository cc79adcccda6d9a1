package s3

import (
	"context"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"comeback/storage"
)

// A page of a list says where the next one begins, so that a million versions are a
// thousand requests one after the other: minutes of waiting. But a list can begin behind
// any key. So the keys of a long one are divided into stretches, each from behind one key
// up to another, which are listed side by side and given in their order.
//
// Where they are divided the directories tell that the service names. That is a hint and
// no more: two stretches meet at one key, so that every key is in one of them, whether or
// not all directories were named.

const (
	// listedBeside is how many pages are asked for at a time, and how many stretches are
	// listed ahead of the one that is looked at.
	listedBeside = 4
	// worthDividing is of how many pages a list is divided, and as many of one stretch
	// show that it is longer than was thought. smallStretch and largeStretch are how many
	// a stretch is to have: each asks for a page that it needs a part of.
	worthDividing = 4
	smallStretch  = 2
	largeStretch  = 16
	// mostHints is how many pages of directories are asked for at a time, and how many
	// levels of them are looked into. Where a directory has fewer versions than worthNaming,
	// their names are nearly as long a list as the versions.
	mostHints   = 10
	worthNaming = 8
)

// stretch is a part of a list. Its keys are without the store's own prefix.
type stretch struct {
	from place  // where it goes on
	over string // its keys are behind this one,
	upTo string // and not behind this one; "" has no end
	// prefix is what all of its keys begin with.
	prefix string
	// level is the directory, with its slash, whose directories may divide it.
	level string
	// inside are the directories of that level within it, where they are known.
	inside []string
	// size is about how many versions it has, 0 where nothing tells.
	size int
	// longer is how many of its versions show that it is worth dividing.
	longer int
}

// versionList lists the versions in a bucket.
type versionList struct {
	*store
	// turns are as many as requests may be under way.
	turns chan struct{}
	// unit is how many versions the service gives in a page; of the first answer, before
	// there is a second.
	unit int
}

// versionPage is an answer.
type versionPage struct {
	versions []storage.Version
	count    int      // with those that nobody asks for
	dirs     []string // that stand for what is in them
	next     place    // zero at the end
}

// listVersions gives the versions of keys that have a prefix, in pages and in the order of
// the keys. It reports whether those are all.
func (s *store) listVersions(ctx context.Context, prefix string, yield func([]storage.Version, error) bool) bool {
	l := &versionList{store: s, turns: make(chan struct{}, listedBeside)}
	level := prefix[:strings.LastIndexByte(prefix, '/')+1]
	return l.sideBySide(ctx, []stretch{{prefix: prefix, level: level}}, yield)
}

// ask asks for at most so many versions.
func (l *versionList) ask(ctx context.Context, prefix, delimiter string, at place, most int) (versionPage, error) {
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-ctx.Done():
		return versionPage{}, ctx.Err()
	}
	out, err := l.page(ctx, &s3.ListObjectVersionsInput{Bucket: &l.bucket, Prefix: l.key(prefix), Delimiter: optional(delimiter), MaxKeys: aws.Int32(int32(most)),
		EncodingType: types.EncodingTypeUrl, KeyMarker: optional(at.key), VersionIdMarker: optional(at.version)})
	if err != nil {
		return versionPage{}, err
	}
	if out.Name == nil { // any XML would pass for an empty list
		return versionPage{}, l.noList("the answer is not that of an S3 service")
	}
	p := versionPage{count: len(out.Versions) + len(out.DeleteMarkers)}
	if p.versions, err = l.versionsOf(out); err != nil {
		return versionPage{}, err
	}
	for _, d := range out.CommonPrefixes {
		dir, err := unescaped(aws.ToString(d.Prefix), out.EncodingType)
		if err != nil {
			return versionPage{}, err
		}
		p.dirs = append(p.dirs, strings.TrimPrefix(dir, *l.key("")))
	}
	if aws.ToBool(out.IsTruncated) {
		p.next = place{key: marker(out), version: aws.ToString(out.NextVersionIdMarker)}
		err = l.goesOn(at, p.next)
	}
	return p, err
}

// page asks until it is answered, where the service has given a page before.
func (l *versionList) page(ctx context.Context, in *s3.ListObjectVersionsInput) (out *s3.ListObjectVersionsOutput, err error) {
	for tried := 0; ; tried++ {
		if out, err = l.client.ListObjectVersions(ctx, in); err == nil || l.unit == 0 || !l.again(ctx, tried, err) {
			return out, err
		}
	}
}

// walk gives the pages of a stretch, and reports whether those are all. It divides one
// that turns out to be long.
func (l *versionList) walk(ctx context.Context, s stretch, yield func([]storage.Version, error) bool) bool {
	seen, last := 0, "" // the last key that came
	for {
		p, err := l.ask(ctx, s.prefix, "", s.from, s.most(seen, l.unit))
		if err != nil {
			yield(nil, err)
			return false
		}
		if l.unit == 0 {
			l.unit = max(p.count, 1)
		}
		if n := len(p.versions); n > 0 {
			if p.versions[0].Key < last && (s.over != "" || s.upTo != "") {
				yield(nil, l.noList("the service gives keys out of the order of their bytes; whether all came cannot be known"))
				return false
			}
			last = p.versions[n-1].Key
		}
		versions, ends := s.cut(p.versions)
		if !yield(versions, nil) {
			return false
		}
		if ends || p.next == (place{}) {
			return true
		}
		s.from, seen = p.next, seen+len(versions)
		if seen > s.size {
			s.size = 0 // it has more than was thought, nobody knows how many
		}
		if seen < s.longer {
			continue
		}
		if parts := l.divide(ctx, s, p.versions); parts != nil {
			return l.sideBySide(ctx, parts, yield)
		}
		s.longer = 2*seen + worthDividing*l.unit // what comes may be another matter
	}
}

// most is how many versions the next page is to have at most: of the last one of a stretch
// a little more than what is thought to be left.
func (s stretch) most(seen, unit int) int {
	if s.size == 0 {
		return pageSize
	}
	left := s.size - seen
	return min(max(left+left/16, unit/4, 1), pageSize)
}

// cut gives what is of the stretch, and whether more has come.
func (s stretch) cut(versions []storage.Version) (of []storage.Version, ends bool) {
	for len(versions) > 0 && s.over != "" && versions[0].Key <= s.over {
		versions = versions[1:]
	}
	for n := len(versions); n > 0 && s.upTo != "" && versions[n-1].Key > s.upTo; n-- {
		versions, ends = versions[:n-1], true
	}
	return versions, ends
}

// sideBySide gives the pages of stretches that follow each other, and reports whether those
// are all. When it returns, nobody asks any more.
func (l *versionList) sideBySide(ctx context.Context, parts []stretch, yield func([]storage.Version, error) bool) bool {
	type answer struct {
		versions []storage.Version
		err      error
	}
	type listed struct {
		pages chan answer
		whole bool // once pages is closed
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lists := make([]*listed, len(parts))
	start := func(n int) {
		if n >= len(parts) {
			return
		}
		list := &listed{pages: make(chan answer, largeStretch)}
		lists[n] = list
		asking.Go(func() {
			defer close(list.pages)
			list.whole = l.walk(ctx, parts[n], func(versions []storage.Version, err error) bool {
				select {
				case list.pages <- answer{versions, err}:
					return true
				case <-ctx.Done():
					return false
				}
			})
		})
	}
	for n := range listedBeside {
		start(n)
	}
	for n := range parts {
		for a := range lists[n].pages {
			if !yield(a.versions, a.err) || a.err != nil {
				return false
			}
		}
		if !lists[n].whole { // what ended it could not be said
			yield(nil, context.Cause(ctx))
			return false
		}
		lists[n] = nil
		start(n + listedBeside)
	}
	return true
}

// divide divides what is left of a stretch, of which a page was seen last; nil where that
// gains nothing, or the service tells nothing that helps.
func (l *versionList) divide(ctx context.Context, s stretch, last []storage.Version) []stretch {
	at := strings.TrimPrefix(s.from.key, *l.key(""))
	for range mostHints {
		below, isBelow := strings.CutPrefix(at, s.level)
		name, _, isDir := strings.Cut(below, "/")
		if !isBelow || !isDir {
			return nil // the keys here are in one directory
		}
		each := perDirectory(s.level, last)
		if each > 0 && each < worthNaming {
			return nil
		}
		var ahead []string
		inside, whole := s.inside, true
		if inside == nil {
			enough := mostHints * pageSize
			if each > 0 {
				enough = listedBeside * largeStretch * l.unit / each
			}
			inside, whole = l.dirs(ctx, s, enough)
		}
		for _, d := range inside {
			if strings.HasPrefix(d, s.prefix) && d > at && (s.upTo == "" || d < s.upTo) && (len(ahead) == 0 || d > ahead[len(ahead)-1]) {
				ahead = append(ahead, d)
			}
		}
		below = s.level + name + "/"
		if len(ahead) > 0 {
			return l.between(s, at, below, ahead, whole, each)
		}
		s.level, s.inside = below, nil
	}
	return nil
}

// perDirectory is how many versions of a page lie in each directory of a level; 0 where
// all lie in one, which has more of them.
func perDirectory(level string, versions []storage.Version) int {
	dirs, last := 0, ""
	for _, v := range versions {
		dir, _, _ := strings.Cut(strings.TrimPrefix(v.Key, level), "/")
		if dirs == 0 || dir != last {
			dirs, last = dirs+1, dir
		}
	}
	if dirs < 2 {
		return 0
	}
	return max(len(versions)/dirs, 1)
}

// between makes stretches that meet at directories: what is left of the one that is being
// listed, and then as many as a stretch is to have of those ahead, which may not be all.
func (l *versionList) between(s stretch, at, below string, ahead []string, whole bool, each int) []stretch {
	group := (len(ahead) + 4*listedBeside - 1) / (4 * listedBeside) // where nothing tells how much is in each
	if each > 0 {
		all := each * len(ahead)
		if all < worthDividing*l.unit {
			return nil
		}
		group = max(min(max(all/(2*listedBeside), smallStretch*l.unit), largeStretch*l.unit)/each, 1)
	}
	long := worthDividing * l.unit
	parts := []stretch{{from: s.from, upTo: ahead[0], prefix: common(at, ahead[0]), level: below, longer: long}}
	for n := 0; n < len(ahead); n += group {
		next := stretch{from: place{key: *l.key(ahead[n])}, over: ahead[n], upTo: s.upTo, prefix: s.prefix, level: s.level, size: group * each}
		if n+group < len(ahead) {
			next.upTo = ahead[n+group]
		}
		if next.upTo != "" {
			next.prefix = common(next.over, next.upTo)
		}
		switch {
		case n+group >= len(ahead) && !whole: // there are others behind it
			next.size = 0
		case group == 1:
			next.level = ahead[n]
		default:
			next.inside = ahead[n+1 : min(n+group, len(ahead))]
		}
		if next.longer = max(2*next.size, long); next.size == 0 {
			next.longer = largeStretch * l.unit
		}
		parts = append(parts, next)
	}
	return parts
}

// dirs are the directories of a stretch's level from where it has come to, about as many as
// are enough, and whether those are all. What fails here is no failure of the list, which
// tells of its own.
func (l *versionList) dirs(ctx context.Context, s stretch, enough int) (dirs []string, whole bool) {
	prefix := s.level
	if len(s.prefix) > len(prefix) {
		prefix = s.prefix
	}
	for at, n := (place{key: s.from.key}), 0; n < mostHints && len(dirs) < enough; n++ {
		p, err := l.ask(ctx, prefix, "/", at, pageSize)
		if err != nil {
			return dirs, false
		}
		dirs = append(dirs, p.dirs...)
		if at = p.next; at == (place{}) {
			return dirs, true
		}
		if len(p.dirs) == 0 { // files lie before them
			return dirs, false
		}
	}
	return dirs, false
}

// common is what two keys begin with, and so all that are between them.
func common(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	return a[:n]
}
