package attributes_test

import (
	"encoding/binary"
	"testing"

	"comeback/recovery/attributes"
)

// list is an access control list of tags and what they let do.
func list(entries ...uint16) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 2)
	for i := 0; i < len(entries); i += 2 {
		b = binary.LittleEndian.AppendUint16(b, entries[i])
		b = binary.LittleEndian.AppendUint16(b, entries[i+1])
		b = binary.LittleEndian.AppendUint32(b, ^uint32(0))
	}
	return b
}

// The bits of a mode are the mask of its list: what the group itself may do is less.
func TestOfGroup(t *testing.T) {
	const user, named, group, mask, other = 0x01, 0x02, 0x04, 0x10, 0x20
	for says, row := range map[string]struct {
		value []byte
		want  uint32
	}{
		"the group may do nothing": {list(user, 6, named, 6, group, 0, mask, 6, other, 0), 0},
		"less than the mask":       {list(user, 7, named, 7, group, 5, mask, 7, other, 0), 5},
		"more than the mask":       {list(user, 7, named, 7, group, 7, mask, 4, other, 0), 4},
		"no mask":                  {list(user, 6, group, 4, other, 0), 4},
		"of another version":       {append([]byte{3, 0, 0, 0}, list(group, 7)[4:]...), 0},
		"cut off":                  {list(group, 7)[:9], 0},
		"nothing":                  {nil, 0},
	} {
		if got, ok := attributes.OfGroup(attributes.Attribute{Name: attributes.ACL, Value: row.value}); !ok || got != row.want {
			t.Errorf("%s: %o, %v, want %o", says, got, ok, row.want)
		}
	}
	if _, ok := attributes.OfGroup(attributes.Attribute{Name: "system.posix_acl_default", Value: list(group, 0)}); ok {
		t.Error("what new files get is taken for the list of the directory")
	}
}
