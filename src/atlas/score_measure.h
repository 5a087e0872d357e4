// Which scores of a file stand in its listings; see ScoreMeasure.
#pragma once

#include "atlas/database.h"
#include "atlas/feature_query.h"

namespace safesail {

ScoreMeasure read_measure(Database& database);

}  // namespace safesail
