package ipvsctl

import "fmt"

// OpKind is what an Op does.
type OpKind uint8

// The operations on the kernel's table.
const (
	AddService OpKind = iota + 1
	UpdateService
	DeleteService // deletes its destinations too
	AddDest
	UpdateDest
	DeleteDest
)

var opWords = map[OpKind]string{
	AddService: "adding", UpdateService: "updating", DeleteService: "deleting",
	AddDest: "adding", UpdateDest: "updating", DeleteDest: "deleting",
}

// OnDest reports whether the operation is on a destination.
func (k OpKind) OnDest() bool { return k >= AddDest && k <= DeleteDest }

// Op is one change of the kernel's table. Operations on a destination use only
// the key of Service; those on a service leave out its destinations.
type Op struct {
	Kind    OpKind
	Service Service
	Dest    Dest
}

// String returns e.g. "adding destination 198.51.100.1:80 to service tcp
// 192.0.2.1:80", fit to stand before ": error".
func (o Op) String() string {
	word, known := opWords[o.Kind]
	switch {
	case !known:
		return fmt.Sprintf("operation %d on service %v", o.Kind, o.Service.Key)
	case o.Kind.OnDest():
		preposition := map[OpKind]string{AddDest: "to", UpdateDest: "of", DeleteDest: "from"}[o.Kind]
		return fmt.Sprintf("%s destination %v %s service %v", word, o.Dest.Key, preposition, o.Service.Key)
	}
	return fmt.Sprintf("%s service %v", word, o.Service.Key)
}

// OpError is an operation that had no effect, and why.
type OpError struct {
	Op  Op
	Err error
}

func (e OpError) Error() string { return e.Op.String() + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e OpError) Unwrap() error { return e.Err }
