package healthcheck

// Reason says why a check came out as it did. It reaches logs, status and
// metrics unchanged.
type Reason string

// The reasons.
const (
	ReasonConnected   Reason = "connected"
	ReasonAnswered    Reason = "answered as expected"
	ReasonNotRefused  Reason = "not refused" // silence, where that is enough
	ReasonExit        Reason = "script failed"
	ReasonAgent       Reason = "agent says so"              // the detail has its words
	ReasonVIP         Reason = "virtual address not served" // the server answers for itself alone
	ReasonPresent     Reason = "file present"
	ReasonAbsent      Reason = "file absent"
	ReasonRefused     Reason = "connection refused"
	ReasonTimeout     Reason = "timeout"
	ReasonUnreachable Reason = "unreachable"              // no route, or nobody answers for the address on the segment
	ReasonProhibited  Reason = "prohibited"               // a rule or route of this host forbids the connection
	ReasonClosed      Reason = "closed by the server"     // before it answered
	ReasonReset       Reason = "reset by the server"      // before it answered
	ReasonUnexpected  Reason = "unexpected reply"         // well formed, but not what was asked for
	ReasonMalformed   Reason = "malformed reply"          // breaks the protocol
	ReasonTooLong     Reason = "reply too long"           // the bound was reached before the end or a match
	ReasonStatus      Reason = "unexpected status"        // of an HTTP answer
	ReasonHeader      Reason = "unexpected header"        // a header is missing or has another value
	ReasonBody        Reason = "unexpected body"          // the body does not hold what it should
	ReasonTLS         Reason = "TLS handshake failed"     // with the server's alert or what did not suit
	ReasonCertificate Reason = "certificate refused"      // it is not from a trusted authority, for another name, or not valid now
	ReasonExpires     Reason = "certificate expires soon" // a warning or a failure, by the margin that is reached
	ReasonResources   Reason = "out of resources"         // this host has no descriptor, port or memory left: inconclusive
	ReasonCannot      Reason = "check cannot be made"     // this host lacks something that the check needs: inconclusive
	ReasonPanic       Reason = "checker panicked"         // a fault of the checker, which the log has: inconclusive
	ReasonInvalid     Reason = "invalid target"           // the target is not checked; the detail says what is wrong
	ReasonError       Reason = "error"                    // anything else; the detail has it
)
