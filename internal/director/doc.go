// Package director is the process that decides and applies: configuration,
// addresses, announcements, the IPVS table, the API. It turns what the speaker
// says of roles, the checker of health and the kernel of links into one desired
// state by a pure function, and has the host made so.
//
// It speaks no VRRP and makes no check, so nothing that it waits for can delay
// an advert. One goroutine owns its state; another applies it to the kernel.
package director
