package files

import (
	"strings"

	"comeback/recovery/attributes"
)

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
