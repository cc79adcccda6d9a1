package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"comeback/recovery"
	"comeback/recovery/attributes"
)

// Why an attribute was not set.
const (
	noneThere  = "none"   // the file system has no such
	notAllowed = "rights" // it is the host's, which this user may not set here
	refused    = "refused"
)

// unset is what was not set of the attributes of a tree, by why.
type unset struct{ tally }

// attribute gives an open file its attributes. What cannot be set is noted.
// The group is what the group of a file may do by an access control list that was not set:
// the bits of its mode are then its mask, which may let others do more than it let the group.
func (t *tree) attribute(f *os.File, r Record) (group *uint32, err error) {
	failed := ""
	for _, a := range r.Attributes {
		err := attributes.Set(f, a)
		if err == nil {
			if a.Name == attributes.Capability && r.Type == File {
				if err := t.grants.note(capable, show(r.Path)); err != nil {
					return nil, err
				}
			}
			continue
		}
		if bits, ok := attributes.OfGroup(a); ok {
			group = &bits
		}
		why := t.whyNotSet(a.Name, err)
		if why == failed {
			continue // one name counts once
		}
		failed = why
		if err := t.unset.note(why, fmt.Sprintf("%s of %s: %v", a.Name, show(r.Path), err)); err != nil {
			return nil, err
		}
	}
	return group, nil
}

// whyNotSet tells what keeps an attribute from being set. A label means nothing, or
// something else, on a host with other rules: whatever is said of it is the host's to say.
func (t *tree) whyNotSet(name string, err error) string {
	switch {
	case attributes.None(err):
		return noneThere
	case name == attributes.Label, errors.Is(err, fs.ErrPermission) && !t.give && strings.HasPrefix(name, "security."):
		return notAllowed
	}
	return refused
}

func (t *tree) attributeDirectory(r Record) (group *uint32, err error) {
	f, err := t.root.Open(r.Path)
	if err != nil {
		return nil, err
	}
	group, err = t.attribute(f, r)
	return group, errors.Join(err, f.Close())
}

// without is a record's mode where its access control list was not set.
func (r Record) without(group *uint32) Record {
	if group != nil {
		r.Mode = r.Mode&^0o070 | *group<<3
	}
	return r
}

// The characters that GNU tar writes otherwise in the names of attributes, because "=" ends
// the key of a record of PAX.
var (
	toPAX   = strings.NewReplacer("%", "%25", "=", "%3D")
	fromPAX = strings.NewReplacer("%25", "%", "%3D", "=")
)

// packedAttributes bounds what the attributes of one name may take in a pack: archive/tar
// takes headers of 1 MB, in which the name is, too.
const packedAttributes = 896 << 10

// packable are those attributes that a pack can hold, and what is told of the others. They are
// in the order of names, in which what gives rights comes before what programs note.
func packable(all []attributes.Attribute) (kept []attributes.Attribute, others []string) {
	const perRecord = 64 // the length, the prefix and what ends it
	room := packedAttributes
	for _, a := range all {
		size := perRecord + len(toPAX.Replace(a.Name)) + len(a.Value)
		if size > room {
			others = append(others, a.Name+" (too large)")
			continue
		}
		room -= size
		kept = append(kept, a)
	}
	return kept, others
}

// tell adds to an outcome what was not set.
func (u *unset) tell(o *recovery.Outcome) error {
	all, err := u.all()
	if err != nil {
		return err
	}
	of := func(why string) (string, bool) {
		n, ok := all[why]
		return recovery.FormatCount(n.Names, "name") + ", the first " + n.First, ok
	}
	if says, ok := of(refused); ok {
		o.Exceptions = append(o.Exceptions, "attributes could not be set of "+says)
	}
	if says, ok := of(noneThere); ok {
		o.Remarks = append(o.Remarks, "the file system here has no such attributes, and lacks them of "+says)
	}
	if says, ok := of(notAllowed); ok {
		o.Remarks = append(o.Remarks, "attributes of the host were not set, which this user may not here (labels: restorecon), of "+says)
	}
	return nil
}
