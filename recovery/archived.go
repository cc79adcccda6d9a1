package recovery

import (
	"fmt"

	"comeback/storage"
)

// Archived is what lies in an archive of its store, such as GLACIER, and has to be restored
// there before it can be read. What was restored there for a while is told like what was not.
type Archived struct {
	Objects int64 `json:"objects,string,omitempty"`
	Bytes   int64 `json:"bytes,string,omitempty"`
	// Class is the archive of the first of them, First its key.
	Class string `json:"class,omitempty"`
	First string `json:"first,omitempty"`
}

// RestoreArchived is what to do about what lies in an archive.
const RestoreArchived = "restore them there first (aws s3api restore-object, for each of them), wait for it, which takes hours, then retry"

// Add counts an object that lies in an archive, and none else.
func (a *Archived) Add(o storage.Object) {
	if o.Archived == "" {
		return
	}
	if a.Objects == 0 {
		a.Class, a.First = o.Archived, o.Key
	}
	a.Objects++
	a.Bytes += o.Size
}

// Says tells of them in one sentence; "" is nothing.
func (a Archived) Says() string {
	if a.Objects == 0 {
		return ""
	}
	return fmt.Sprintf("%s of it, %s, in %s, which cannot be read before it is restored there, the first %s", FormatCount(a.Objects, "object"), FormatBytes(a.Bytes), a.Class, a.First)
}

// InArchive is what of a backup lies in an archive, as far as its survey knows.
func (b Backup) InArchive() Archived {
	a := b.Archived
	for _, o := range b.Objects {
		a.Add(o)
	}
	return a
}
