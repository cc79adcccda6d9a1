package tree

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

// attribute gives an open file its attributes. What cannot be set is noted.
// The group is what the group of a file may do by an access control list that was not set:
// the bits of its mode are then its mask, which may let others do more than it let the group.
func (t *Writer) attribute(f *os.File, r Record) (group *uint32, err error) {
	failed := ""
	for _, a := range r.Attributes {
		err := attributes.Set(f, a)
		if err == nil {
			if a.Name == attributes.Capability && r.Type == File {
				if err := t.grants.Note(capable, Show(r.Path)); err != nil {
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
		if err := t.unset.Note(why, fmt.Sprintf("%s of %s: %v", a.Name, Show(r.Path), err)); err != nil {
			return nil, err
		}
	}
	return group, nil
}

// whyNotSet tells what keeps an attribute from being set. A label means nothing, or
// something else, on a host with other rules: whatever is said of it is the host's to say.
func (t *Writer) whyNotSet(name string, err error) string {
	switch {
	case attributes.None(err):
		return noneThere
	case name == attributes.Label, errors.Is(err, fs.ErrPermission) && !t.give && strings.HasPrefix(name, "security."):
		return notAllowed
	}
	return refused
}

func (t *Writer) attributeDirectory(r Record) (group *uint32, err error) {
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

// Tell adds to an outcome which files of the tree give rights, and which attributes were not
// set, by this attempt or an earlier one.
func (t *Writer) Tell(o *recovery.Outcome) error {
	return errors.Join(t.grants.tell(o), t.tellUnset(o))
}

func (t *Writer) tellUnset(o *recovery.Outcome) error {
	all, err := t.unset.All()
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

// Remarks are what else a reader should know of the tree.
func (t *Writer) Remarks() (says []string) {
	if n := t.outside.Load(); n > 0 {
		says = append(says, fmt.Sprintf("%s of the tree, restored as they were: %s", recovery.FormatCount(n, "link")+" lead out", *t.leads.Load()))
	}
	return says
}
