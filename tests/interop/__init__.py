"""
Calls with real peers; C{SKYPETRUNK_INTEROP=1} switches them on (see L{tests.interop.rig}).

Message sequences of scripted peers, PBX over UDP and TCP, carrier over TLS, both ways where both ways exist:

 - C{test_setup}: forks, PRACK, late offers
 - C{test_midcall}: hold, glare, INFO, OPTIONS and refusals inside a call, causes of BYE
 - C{test_update}, C{test_timers}: UPDATE; session timers.  What takes a minute of them is in
   L{tests.interop.rig.session_timers}, and is run by C{test_endurance}
 - C{test_requests}: requests outside of calls, refusals and their answers, routes, C{maddr}, bodies, Identity
 - C{test_failover}: two nodes of a carrier, one of which dies or falls silent
 - C{test_redirection}, C{test_transfer}: 3xx; REFER and Replaces
 - C{test_digits}: keys in INFO that become events in RTP, and back, with a phone at the other end
 - C{test_fax_and_numbers}: T.38 refused, payload types of each side
 - C{test_fax}: whole pages by T.38
 - C{test_pbxes}, C{test_carriers}: habits of known PBXes and carriers, with their media

 - C{test_long_life}: what a PBX does to its stream, as rtpengine and ffmpeg hear it
 - C{test_mikey}: our messages read by others, and theirs by us
 - C{test_certificates}: each kind of bad server, carriers that ask for a certificate
 - C{test_middle}: who stands between trunk and carrier: slow, broken, hostile
 - C{test_doctor}: the faults of the practice carrier, each named by C{skypetrunk doctor}

What can be heard, with phones: C{test_calls}, C{test_phones}, and C{test_flow_loss}, where the connection to
the carrier ends (where it falls silent: L{tests.interop.rig.silent_flow}, which C{test_endurance} runs, too).
Kamailio is the carrier there, and between the trunk and another network in C{test_proxy}.
"""
