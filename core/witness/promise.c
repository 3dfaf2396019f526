/* SPDX-License-Identifier: MIT
 *
 * What each rule rests on, in a sentence. A rule of several models may have been promised in other words by each: the
 * first row that fits counts.
 */
#include "story.h"

#include <string.h>

enum { ANY = PL_MODELS };

static const struct {
	uint32_t model;
	const char *rule, *text;
} promises[] = {
	{ ANY, "VFRESH", "What is received was sent, and not before its send began." },
	{ ANY, "VREPET", "Each payload is received once." },
	{ ANY, "VFAILED", "What could not be sent is not received." },
	{ ANY, "VTAG", "A payload arrives with the priority or type that it was sent with." },
	{ ANY, "VCORRUPT", "What is received is what was sent, whole and unharmed." },
	{ ANY, "VSOURCE", "Who receives is told where it came from." },
	{ PL_MODEL_PRIORITY, "VORD",
		"Of one priority or type, what was sent first is received first." },
	{ PL_MODEL_SELECT, "VORD",
		"Of what a receive selects, what was sent first is received first." },
	{ ANY, "VORD", "What was sent first is received first." },
	{ ANY, "VPRIO", "What goes first by its priority or type is received first." },
	{ ANY, "VSELECT", "What is received is of the kind that was asked for." },
	{ ANY, "VLOST", "What was sent is there until somebody receives it." },
	{ ANY, "VWIT", "Nobody finds nothing while something is inside." },
	{ ANY, "OVERCAP", "No more is accepted than the object holds." },
	{ ANY, "BADFULL", "Nobody finds no room while there is some." },
	{ ANY, "LOSTWAKE", "Nobody sleeps for what is already there." },
	{ ANY, "BADEOF", "The end of file comes when nobody has the putting end any more." },
	{ ANY, "BADPIPE", "A put finds its taker gone only when nobody has the taking end." },
	{ ANY, "NOEOF",
		"Who takes when nobody has the putting end any more is told so: end of file." },
	{ ANY, "NOPIPE", "Who puts when nobody has the taking end any more is told so: EPIPE." },
	{ ANY, "CRASH", "A call returns; it does not end who made it." },
	{ PL_MODEL_RANGES, "OVERLAP",
		"A locked byte has one owner at a time, or several that share it." },
	{ ANY, "OVERLAP", "A lock has one owner at a time." },
	{ ANY, "COUNTER", "What an owner wrote, the next one finds." },
	{ ANY, "INSIDE", "Nobody but the owner sees what the owner has half written." },
	{ PL_MODEL_RANGES, "BADBUSY", "Nobody is refused bytes that nobody has locked." },
	{ ANY, "BADBUSY", "Nobody is refused a lock that nobody holds." },
	{ ANY, "BADDEADLK", "Only who holds a lock is told that to wait for it is a deadlock." },
	{ ANY, "BADEPERM", "An owner may release its lock." },
	{ ANY, "FREEUNHELD", "Only the owner of a robust lock releases it." },
	{ ANY, "DEADNONE", "The owner after one that died is told of the death." },
	{ ANY, "DEADFALSE", "Nobody is told of an owner's death that did not happen." },
	{ ANY, "DEADTWICE", "One owner is told of a death, and no other." },
	{ ANY, "DEADHOLDER", "A lock that is not robust stays locked when its owner dies." },
	{ ANY, "NOTRECOV", "A lock that was released without repair is acquired by nobody." },
	{ ANY, "BADNOTRECOV", "A lock is lost only when it is released without repair." },
	{ ANY, "CORRUPT", "The bytes that are read are those that were written." },
	{ ANY, "TORN", "A write of at most PIPE_BUF bytes stays in one piece." },
	{ ANY, "SHUF", "The bytes of a writer come out once each, in the order written." },
	{ ANY, "EXTRA", "No byte is read that no write has put in." },
	{ ANY, "EARLY", "No byte is read before its write began." },
	{ ANY, "ORDER", "What was written first is read first." },
	{ ANY, "LOST", "Each byte that was accepted can be read." },
	{ PL_MODEL_STREAM, "STALE",
		"The end of file comes after the last byte and the last writer." },
	{ ANY, "STALE", "Who looks finds what was stored last." },
	{ ANY, "FRESH", "What is found was stored, and not before its store began." },
	{ ANY, "FAILED", "What could not be stored is not found." },
	{ ANY, "LOSTUPDATE", "An exchange puts its value in the place of the one that it found." },
	{ ANY, "LOOP", "Exchanges follow one another." },
	{ PL_MODEL_VECTOR, "OVERTAKEN", "Nobody takes more of any place than is there." },
	{ PL_MODEL_VECTOR, "BADEMPTY", "Nobody is refused while all that was asked for is there." },
	{ PL_MODEL_VECTOR, "BADVALUE",
		"What is taken of several places is taken of all at one moment, or of none." },
	{ PL_MODEL_VECTOR, "TOKENSLOST",
		"What was taken and given back, or left by a death, is there again, in every "
		"place." },
	{ ANY, "OVERTAKEN", "No more is taken than was put." },
	{ ANY, "OVERFULL", "The number does not pass what the object holds." },
	{ ANY, "BADEMPTY", "Nobody finds too little while there is enough." },
	{ ANY, "TOKENSLOST", "What was put is there until somebody takes it." },
	{ ANY, "BADVALUE",
		"Who asks for the number is told what it is at some moment of the call." },
	{ ANY, "BADNOROOM", "Nobody finds no room while there is some." },
	{ ANY, "BADSUM", "A take takes all that there is." },
	{ ANY, "TAKENOTHING", "A take that succeeds takes something." },
	{ ANY, "NOORDER", "The operations give what they would give one after the other." },
	{ ANY, "SOVER", "A signal is delivered no more often than it is sent." },
	{ ANY, "SAGAIN", "A signal that was delivered is pending only when it is sent again." },
	{ ANY, "SFALSE", "Who receives a signal is told who sent it." },
	{ ANY, "SLOST", "A signal that was sent is delivered." },
	{ ANY, "SEMPTY", "Nobody finds nothing pending while a signal is." },
};

const char *pl_promise(uint32_t model, const char *rule)
{
	for (size_t i = 0; i < sizeof promises / sizeof *promises; i++)
		if ((promises[i].model == ANY || promises[i].model == model) &&
			!strcmp(promises[i].rule, rule))
			return promises[i].text;
	return "";
}
