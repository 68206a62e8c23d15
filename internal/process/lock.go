package process

import "errors"

// ErrLocked is wrapped by errors that say that another node uses a folder.
var ErrLocked = errors.New("another haldir uses it")
