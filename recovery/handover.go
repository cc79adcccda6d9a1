package recovery

import (
	"fmt"
	"slices"
)

// IntoHandOver is what a component says that comes back into nothing live: it is
// restored and left running.
const IntoHandOver = "hand-over"

// HandedTree is a claim of a restored tree that leaves scratch and is to be left on its
// own. Its details say which component it is of, and, as "tree", where it then lies.
const HandedTree ResourceKind = "handed over tree"

// HandedOver is what a run has restored and left beside live: a server that runs, or a
// tree. It is nobody's but the people's from then on; a run of `comeback expire`
// removes it.
type HandedOver struct {
	Component string `json:"component"`
	// Address is how people reach a server, without a secret; Local how the server's
	// own user does on its machine.
	Address string `json:"address"`
	Local   string `json:"local,omitempty"`
	// Tree is the restored directory, where it is one: it lies in Place, and has no
	// address.
	Tree string `json:"tree,omitempty"`
	// Place is the directory that holds all of it, Identity tells it from anything
	// else in that place.
	Place    string   `json:"place"`
	Identity Identity `json:"identity"`
	// Says is what people should know: who gets in, how it is started.
	Says string `json:"says,omitempty"`
}

// Where says where people find it, as a clause: "answers at postgres://…", "lies in /…".
func (h HandedOver) Where() string {
	if h.Tree != "" {
		return "lies in " + h.Tree
	}
	return "answers at " + h.Address
}

// InPlaceFact is the name of the fact that is the nth command, from 1 on, by which people put what
// was handed over in the place of what is live.
func InPlaceFact(n int) string { return fmt.Sprintf("in live's place, %d", n) }

// InPlace are the commands by which people put what a step has handed over in the place of what
// is live, one after the other; none where it cannot tell.
func (o Outcome) InPlace() (commands []string) {
	for {
		command, ok := o.Facts[InPlaceFact(len(commands)+1)]
		if !ok {
			return commands
		}
		commands = append(commands, command)
	}
}

// SayInPlace names such commands, one a line, as they come one after the other.
func SayInPlace(commands []string) (says []string) {
	lead := "in live's place: "
	for _, command := range commands {
		says = append(says, lead+command)
		lead = "then: "
	}
	return says
}

// inPlace are those of something that the run has handed over.
func (s *State) inPlace(h HandedOver) []string {
	for i := range s.Steps {
		if o := s.Steps[i].Outcome; slices.ContainsFunc(o.HandedOver, func(of HandedOver) bool { return of.Place == h.Place }) {
			return o.InPlace()
		}
	}
	return nil
}

// IsHandedOver reports whether a claim's ID is the place of something that was handed over:
// what was claimed is then neither gone nor live.
func IsHandedOver(all []HandedOver, id string) bool {
	return slices.ContainsFunc(all, func(h HandedOver) bool { return h.Place == id })
}

// GoneSays says what has become of so many claims: "9 proven gone, 2 live, 1 handed over and
// kept".
func GoneSays(gone, live, handed int) string {
	says := fmt.Sprintf("%d proven gone", gone)
	if live > 0 {
		says += fmt.Sprintf(", %d live", live)
	}
	return says + fmt.Sprintf(", %d handed over and kept", handed)
}

// Old is what was handed over as something that can be removed. It has no date:
// it goes when people say so.
func (h HandedOver) Old() Old {
	if h.Tree != "" {
		return Old{Component: h.Component, Place: h.Place, Identity: h.Identity, Handed: true, Says: "a restored tree that was left there"}
	}
	return Old{Component: h.Component, Place: h.Place, Identity: h.Identity, Handed: true, Served: true, Address: h.Local, Says: "a restored server that was left running"}
}

// HandOverer is a Switcher that can leave what was restored on its own.
type HandOverer interface {
	// HandOver lists the steps. Nothing live is written to. It is pure.
	HandOver(c SwitchContext) ([]Step, error)
}

// Bystander is a HandOverer whose restored component takes the place of nothing that is
// live: it switches nothing.
type Bystander interface {
	// Instead is what to write instead of a switch of it.
	Instead() string
}
