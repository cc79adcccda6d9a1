package bucket

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

// history are the versions of one key, the newest first.
type history []storage.Version

// byKey gathers the versions of each key. A failure is yielded once, last.
func byKey(versions iter.Seq2[storage.Version, error]) iter.Seq2[history, error] {
	return func(yield func(history, error) bool) {
		var h history
		for v, err := range versions {
			if err != nil {
				yield(nil, err)
				return
			}
			if len(h) > 0 && h[0].Key != v.Key {
				if !yield(h, nil) {
					return
				}
				h = nil
			}
			h = append(h, v)
		}
		if len(h) > 0 {
			yield(h, nil)
		}
	}
}

// now is the version that is current, nil where the key is deleted.
func (h history) now() *storage.Object {
	if len(h) == 0 || h[0].Deleted {
		return nil
	}
	return &h[0].Object
}

// at is the version that was current at a moment, nil where there was none.
func (h history) at(moment time.Time) *storage.Object {
	for _, v := range h {
		if v.Modified.After(moment) {
			continue
		}
		if v.Deleted {
			return nil
		}
		return &v.Object
	}
	return nil
}

// doubt says why it is not known what was current at a moment, for which at gives the best that
// the versions tell; "" where it is known.
func (h history) doubt(moment time.Time) string {
	for _, v := range h {
		switch {
		case v.Modified.After(moment) && v.Unversioned:
			return "it was written at " + v.Modified.UTC().Format(time.RFC3339) + ", while the bucket kept no versions, in the place of what may have been there"
		case v.Modified.After(moment):
			continue
		case v.Tied && !v.Latest:
			return "it was stored and deleted within one second, and the service does not tell which came first"
		}
		return ""
	}
	return ""
}

// version finds a version by its id.
func (h history) version(id string) *storage.Object {
	for _, v := range h {
		if v.Version == id && !v.Deleted {
			return &v.Object
		}
	}
	return nil
}

// fit watches keys, in their order, for those that a tree cannot hold.
type fit struct {
	of     args
	nested nested
}

// longestName is how long a file's name may be, in bytes, between two slashes.
const longestName = 255

// why says what keeps a key from being a file's name; "" is nothing.
func (f *fit) why(key string) string {
	name := f.of.name(key)
	long := slices.ContainsFunc(strings.Split(name, "/"), func(word string) bool { return len(word) > longestName })
	if storage.CheckKey(key) != nil || !tree.Sound(name) || long {
		return fmt.Sprintf("the key %s can be no file's name", tree.Show(key))
	}
	if file, ok := f.nested.below(key); ok {
		return fmt.Sprintf("the key %s lies below %s, which is an object too: a directory cannot hold both, and a bucket can", tree.Show(key), tree.Show(file))
	}
	return ""
}

// maxNamed bounds how many keys an outcome lists.
const maxNamed = 20

// odd are the first of keys of which something is to be told, with what, and how many
// there are.
type odd struct {
	N     int64    `json:"n,string"`
	First []string `json:"first"`
}

func (o *odd) add(says string) {
	if o.N++; o.N <= maxNamed {
		o.First = append(o.First, says)
	}
}

// told is a sentence for each, and one for all that are more.
func (o odd) told(before, after string) (says []string) {
	for _, first := range o.First {
		says = append(says, before+first+after)
	}
	if more := o.N - int64(len(o.First)); more > 0 {
		says = append(says, fmt.Sprintf("%sand %d keys more", before, more))
	}
	return says
}

// unfit are keys that a tree cannot hold.
type unfit struct{ odd }

// exceptions are what a restore into a tree tells of them.
func (u unfit) exceptions() []string {
	return u.told("left out: ", " (`live` in the runbook brings it back in place)")
}

// warning is what a plan tells of them; "" is nothing.
func (u unfit) warning() string {
	if u.N == 0 {
		return ""
	}
	return fmt.Sprintf("%s cannot be restored into a directory (`live` in the runbook brings them back in place): %s", recovery.FormatCount(u.N, "object"), u.First[0])
}

// doubts are keys of which it is not known what was current at the moment.
type doubts struct{ odd }

// exceptions are what a restore tells of them.
func (d doubts) exceptions() []string {
	return d.told("not known at the moment, restored as the versions tell that are kept: ", "; look at them")
}

// warning is what a plan tells of them; "" is nothing.
func (d doubts) warning() string {
	if d.N == 0 {
		return ""
	}
	return fmt.Sprintf("what %s had at the moment is not known and is restored as the versions tell that are kept: %s; look at them, or choose another moment or copy",
		recovery.FormatCount(d.N, "key"), d.First[0])
}

// nested watches keys, in their order, for one that lies below another: "a/b" where
// there is "a". A bucket can hold both, a directory cannot. What it keeps is as much
// as a key is deep.
type nested struct{ open []string }

// below gives the key that stands in the way of the next one.
func (n *nested) below(key string) (string, bool) {
	for len(n.open) > 0 && !strings.HasPrefix(key, n.open[len(n.open)-1]) {
		n.open = n.open[:len(n.open)-1]
	}
	for _, k := range n.open {
		if strings.HasPrefix(key, k+"/") {
			return k, true
		}
	}
	n.open = append(n.open, key)
	return "", false
}
