#include "sim/plan/parallel_plan.h"
namespace soapbox { std::string to_string(Schedule s){ const char*n[]={"gpipe","1f1b","interleaved","zb1","zb2","zbv"}; return n[int(s)]; } }
