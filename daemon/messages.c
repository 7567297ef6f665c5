#include "daemon/messages.h"

#include <string.h>

static const struct {
    const char *name, *id;
} messages[MESSAGE_N] = {
    [MESSAGE_READY] = {"ready", "d4e0a9c951994dd1a8d18da157f04766"},
    [MESSAGE_STOPPING] = {"stopping", "a509e94a995443e595b60b5695e5b183"},
    [MESSAGE_STOPPED] = {"stopped", "1c8fc66d982f48aaa83c34819a265b47"},
    [MESSAGE_ABANDONED] = {"abandoned", "3059c7990c6d499290c18c8dc4471768"},
    [MESSAGE_RELOADED] = {"reloaded", "3034e85d2149415a81eee64bcde64575"},
    [MESSAGE_RELOAD_REFUSED] = {"reload-refused", "274fcfb6937a4250aba90a9eab740429"},
    [MESSAGE_STALLED] = {"stalled", "bcaefc8949054fb7ab0cae0d9ac9980c"},
    [MESSAGE_TROUBLE] = {"trouble", "fb4afc7c69af46ce82df1e0f4c0808e7"},
    [MESSAGE_COMMAND] = {"operator-command", "8a68a9034ded490e933e8727f13404ad"},
    [MESSAGE_EXPOSURE_ACCEPTED] = {"exposure-accepted",
                                   "d587087df0ea4949925babbfbfb7a45a"},
    [MESSAGE_EXPOSURE_DUPLICATE] = {"exposure-duplicate",
                                    "63b982dbb8db4352a06f26754fd1acd6"},
    [MESSAGE_FILE_REJECTED] = {"file-rejected", "153262b56b6c4c61ba0d94ab008f8ed9"},
    [MESSAGE_BACKGROUND_OFFERED] = {"background-offered",
                                    "d419d5d82f42489cb9d4954ba05be29c"},
    [MESSAGE_JOB_PLANNED] = {"job-planned", "fe62b650775c4bbdb490eb03007b7fde"},
    [MESSAGE_JOB_STARTED] = {"job-started", "f6ea70089830409ebc0a71a9b650a5e3"},
    [MESSAGE_JOB_STAGE] = {"job-stage", "ccc6b72dbe424b86bd42c0a4a31f054d"},
    [MESSAGE_JOB_NOTE] = {"job-note", "ba2e92c3daea4483847bc5d17a669697"},
    [MESSAGE_JOB_DONE] = {"job-done", "2239a38fa7f24c1e9b8af219902d9199"},
    [MESSAGE_JOB_QUEUED] = {"job-queued", "30a0a1c1f3704898b935d9b78a201d0a"},
    [MESSAGE_JOB_DEFERRED] = {"job-deferred", "26117101e3e14fb3b8855b77914e652d"},
    [MESSAGE_JOB_HELD] = {"job-held", "e70531c443754875bb9be96931b7e2ed"},
    [MESSAGE_JOB_CANCELLED] = {"job-cancelled", "22f56f580ae74810b43086151a0776a1"},
    [MESSAGE_JOB_SUSPECT] = {"job-suspect", "7f1b41abad5e498fb732637ff3e6ed3f"},
    [MESSAGE_JOB_QUARANTINED] = {"job-quarantined", "caf13754ec19468ab27f3b6934379bc0"},
};

const char *message_id(enum message message)
{
    return messages[message].id;
}

const char *message_name(enum message message)
{
    return messages[message].name;
}

const char *message_id_of_job(const char *state)
{
    for (int i = MESSAGE_JOB_DONE; i < MESSAGE_N; i++) {
        if (!strcmp(messages[i].name + strlen("job-"), state)) {
            return messages[i].id;
        }
    }
    return NULL;
}
