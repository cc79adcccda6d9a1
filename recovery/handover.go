package recovery

// IntoHandOver is what a component says that comes back into nothing live: it is
// restored and left running.
const IntoHandOver = "hand-over"

// HandedOver is what a run has restored and left running beside live. It is
// nobody's but the people's from then on; a run of `comeback expire` removes it.
type HandedOver struct {
	Component string `json:"component"`
	// Address is how people reach it, without a secret; Local how the server's
	// own user does on its machine.
	Address string `json:"address"`
	Local   string `json:"local,omitempty"`
	// Place is the directory that holds all of it, Identity tells it from anything
	// else in that place.
	Place    string   `json:"place"`
	Identity Identity `json:"identity"`
	// Says is what people should know: who gets in, how it is started.
	Says string `json:"says,omitempty"`
}

// Old is what was handed over as something that can be removed. It has no date:
// it goes when people say so.
func (h HandedOver) Old() Old {
	return Old{Component: h.Component, Place: h.Place, Identity: h.Identity, Served: true, Address: h.Local, Says: "a restored server that was left running"}
}

// HandOverer is a Switcher that can leave what was restored running on its own.
type HandOverer interface {
	// HandOver lists the steps. Nothing live is written to. It is pure.
	HandOver(c SwitchContext) ([]Step, error)
}
