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

// maxLeftOut bounds how many keys an outcome lists.
const maxLeftOut = 20

// unfit are the first of the keys that a tree cannot hold, with why, and how many there are.
type unfit struct {
	n     int64
	first []string
}

func (u *unfit) add(why string) {
	if u.n++; u.n <= maxLeftOut {
		u.first = append(u.first, why)
	}
}

// exceptions are what a restore into a tree tells of them.
func (u *unfit) exceptions() (says []string) {
	for _, why := range u.first {
		says = append(says, "left out: "+why+" (`live` in the runbook brings it back in place)")
	}
	if more := u.n - int64(len(u.first)); more > 0 {
		says = append(says, fmt.Sprintf("left out: and %d keys more", more))
	}
	return says
}

// warning is what a plan tells of them; "" is nothing.
func (u *unfit) warning() string {
	if u.n == 0 {
		return ""
	}
	return fmt.Sprintf("%s cannot be restored into a directory (`live` in the runbook brings them back in place): %s", recovery.FormatCount(u.n, "object"), u.first[0])
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
