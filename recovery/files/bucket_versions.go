package files

import (
	"iter"
	"strings"
	"time"

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
