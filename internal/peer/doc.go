// Package peer owns what two directors tell one another beside VRRP, once a
// second: who they are, which configuration is in force, what they judge of the
// real servers, and whose announcements they heard.
//
// It is for people. Anybody on the segment can send such a message, so nothing
// that arrives here decides anything: it is shown, with its age.
package peer
