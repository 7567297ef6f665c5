#include <stdio.h>

int main(void)
{
    fprintf(stderr, "usage: ifurun spec2|spec3 [OPTION]... FILE...\n");
    return 2;
}
