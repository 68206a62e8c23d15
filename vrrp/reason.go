package vrrp

// Reason says why a virtual router changed its state. The text is meant for
// logs, events and scripts, unchanged.
type Reason string

const (
	ReasonStart           Reason = "start"
	ReasonOwner           Reason = "address owner"                             // priority 255 starts as master
	ReasonMasterDown      Reason = "master silent"                             // Master_Down_Timer ran out
	ReasonMasterResigned  Reason = "master resigned"                           // priority 0 heard, Skew_Time ran out
	ReasonHigherPriority  Reason = "higher priority heard"                     // as master
	ReasonHigherAddress   Reason = "equal priority, higher address heard"      // as master
	ReasonSeniority       Reason = "the earlier master is back"                // as master that does not preempt
	ReasonRival           Reason = "second master heard, staying master"       // From and To are both Master
	ReasonStalled         Reason = "own silence outlasted the peer's patience" // listening before speaking
	ReasonShutdown        Reason = "shutdown"
	ReasonRemoved         Reason = "removed from the configuration"
	ReasonHandover        Reason = "handed over on request"
	ReasonEligible        Reason = "eligible again"        // RouterConfig.Ineligible is no longer set
	ReasonMaintenance     Reason = "maintenance"           // RouterConfig.Ineligible, by an operator
	ReasonTracker         Reason = "tracker down"          // RouterConfig.Ineligible, by what the router depends on
	ReasonWaiting         Reason = "tracker not checked"   // the same, before it was checked
	ReasonSuccessor       Reason = "successor heard"       // end of Leaving
	ReasonHandoverTimeout Reason = "no successor heard"    // end of Leaving, bound passed
	ReasonLinkDown        Reason = "link down"             // no carrier, or the interface is gone
	ReasonLinkUp          Reason = "link up"               // carrier or interface is back
	ReasonNoSource        Reason = "no source address"     // the interface lost its own address
	ReasonResumed         Reason = "resumed after a crash" // role taken over from an earlier process
	ReasonGroupMaster     Reason = "the group is master"   // joined a group that is
	ReasonGroupYielded    Reason = "the group gave way"    // another member heard a better master
	ReasonGroupFault      Reason = "the group cannot run"  // another member lost its link or address
	ReasonGroupFit        Reason = "the group can run"     // what kept another member is over
)
