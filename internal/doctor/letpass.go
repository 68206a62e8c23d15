package doctor

import (
	"fmt"
	"strconv"

	"github.com/haldir-lb/haldir/internal/firewall"
)

// letPass is a command that lets packets of a sort pass where they are dropped.
func letPass(at firewall.Place, packet firewall.Packet) string {
	const lasting = "; and the same in the file that the rules are loaded from"
	switch at.Program {
	case "":
		return "look at the rule that the evidence names: nft -a list ruleset, or iptables -L -v -n"
	case "nft":
		return fmt.Sprintf("nft insert rule %s %s %s %s accept", at.Family, at.Table, at.Chain, nftMatch(packet)) + lasting
	}
	return fmt.Sprintf("%s -t %s -I %s %s -j ACCEPT", at.Program, at.Table, at.Chain, iptablesMatch(packet)) + lasting
}

func nftMatch(p firewall.Packet) string {
	switch {
	case p.ARP:
		return "meta protocol arp"
	case p.Type != 0:
		return fmt.Sprintf("icmpv6 type %d-%d", solicitation, advertisement)
	case p.State == firewall.Established:
		return "ct state established,related"
	}
	switch p.Protocol {
	case protoTCP, protoUDP, protoSCTP:
		return fmt.Sprintf("%s dport %d", protocolName(p.Protocol), p.Port)
	}
	return "meta l4proto " + protocolName(p.Protocol)
}

func iptablesMatch(p firewall.Packet) string {
	switch {
	case p.Type != 0:
		return "-p icmpv6 --icmpv6-type " + strconv.Itoa(int(p.Type))
	case p.State == firewall.Established:
		return "-m conntrack --ctstate ESTABLISHED,RELATED"
	}
	switch p.Protocol {
	case protoTCP, protoUDP, protoSCTP:
		return fmt.Sprintf("-p %s --dport %d", protocolName(p.Protocol), p.Port)
	}
	return "-p " + protocolName(p.Protocol)
}

func protocolName(number uint8) string {
	for name, n := range protocolNumbers {
		if n == number {
			return name
		}
	}
	return strconv.Itoa(int(number))
}
